// Talks to the JSON service. Every failure is a Failure with the service's own code and message.

export class Failure extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

let token = sessionStorage.getItem("token") || "";

export function setToken(given) {
  token = given.trim();
  sessionStorage.setItem("token", token);
}

// XMLHttpRequest, because fetch does not tell how much of a file has been sent.
function request(method, path, body, onSent) {
  return new Promise((resolve, reject) => {
    const call = new XMLHttpRequest();
    call.open(method, path);
    call.responseType = "json";
    if (token) call.setRequestHeader("Authorization", `Bearer ${token}`);
    if (typeof body === "string") call.setRequestHeader("Content-Type", "application/json");
    if (onSent) call.upload.addEventListener("progress", (event) => onSent(event.loaded / event.total));
    call.addEventListener("load", () => {
      if (call.status === 200 && call.response) return resolve(call.response);
      const error = call.response?.error;
      reject(new Failure(error?.code || "failed", error?.message || `the service answered with status ${call.status}`));
    });
    call.addEventListener("error", () => reject(new Failure("unreachable", "the service cannot be reached; is it still running?")));
    call.send(body);
  });
}

export const service = () => request("GET", "v1/service", null);

export function sendImage(file, model, onSent) {
  const form = new FormData();
  form.append("image", file, "image");
  if (model) form.append("model", model);
  return request("POST", "v1/images", form, onSent);
}

export const segment = (image_id, expressions, model) =>
  request("POST", "v1/segment", JSON.stringify({ image_id, expressions, model, forms: ["rle", "polygons"] }));

export const attention = (image_id, expression, model, layer) =>
  request("POST", "v1/attention", JSON.stringify({ image_id, expression, model, layer }));
