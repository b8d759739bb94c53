// The page: one photo, a list of expressions, and what was found for each.

import * as api from "./api.js";
import { openAttention } from "./attention.js";
import * as masks from "./masks.js";
import { element, show } from "./dom.js";
import { drawMasks, markChosen, placeHeat, setPhoto, tellPoints } from "./view.js";

const COLOURS = ["#00d6ff", "#ff4081", "#bef21e", "#ff9800", "#b388ff", "#ffe14d", "#4dd0a0", "#ff8a80"];
const byId = (id) => document.getElementById(id);
const page = { models: [], limits: {}, chosenModel: false, file: null, image: null, results: [], bare: false, chosen: null, turn: 0, opening: 0 };

const model = () => page.models.find((one) => one.name === byId("model").value);

function say(text) {
  byId("status").textContent = text;
}

function fail(error) {
  show(byId("token-form"), error.code === "bad_token");
  byId("error").textContent = error.message || String(error);
  show(byId("error"), true);
}

function progress(text, share) {
  show(byId("progress"), Boolean(text));
  byId("step").textContent = text || "";
  if (share === undefined) byId("bar").removeAttribute("value");
  else byId("bar").value = share;
  byId("view").setAttribute("aria-busy", String(Boolean(text)));
}

// Runs one thing after the other; what belongs to an older photo is dropped.
let last = Promise.resolve();
function inTurn(action) {
  const turn = page.turn;
  last = last.then(async () => {
    if (turn !== page.turn) return;
    show(byId("error"), false);
    try {
      await action(() => turn === page.turn);
    } catch (error) {
      if (turn === page.turn) fail(error);
    } finally {
      progress(null);
    }
  });
  return last;
}

async function upload() {
  progress("Sending the photo", 0);
  page.image = await api.sendImage(page.file, model().name, (share) =>
    share < 1 ? progress(`Sending the photo: ${Math.round(100 * share)} %`, share) : progress("The model reads the photo"),
  );
}

async function withImage(call) {
  if (!page.image) await upload();
  try {
    return await call(page.image.id);
  } catch (error) {
    if (error.code !== "unknown_image") throw error;
    await upload(); // the service had forgotten it
    return call(page.image.id);
  }
}

async function openPhoto(file, { expressions = [], modelName = null } = {}) {
  if (!page.models.length) return fail(new Error("The service has not told its models yet."));
  const opening = (page.opening += 1);
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    return fail(new Error("This browser cannot show this file as a picture. Save it as JPEG or PNG first."));
  }
  if (file.size > 1e6 * page.limits.megabytes) {
    return fail(new Error(`The file has ${(file.size / 1e6).toFixed(1)} MB; this service takes at most ${page.limits.megabytes}.`));
  }
  if (opening !== page.opening) return; // another photo came meanwhile
  page.turn += 1;
  Object.assign(page, { file, image: null, results: [], chosen: null });
  if (modelName && page.models.some((one) => one.name === modelName)) byId("model").value = modelName;
  else if (!page.chosenModel) byId("model").value = (page.models.find((one) => !one.world) || page.models[0]).name;
  closeAttention();
  await setPhoto(bitmap);
  show(byId("drop"), false);
  show(byId("view"), true);
  byId("about").textContent = `${bitmap.width} × ${bitmap.height} pixels`;
  bitmap.close();
  describeModel();
  refresh();
  await inTurn(upload);
  if (expressions.length) await ask(expressions);
  else if (document.activeElement.matches("body, .choose")) byId("expression").focus({ preventScroll: true });
}

function describeModel() {
  const { world } = model();
  const better = page.models.find((one) => !one.world);
  byId("world").textContent = !world ? "" : `This model knows ${world}.${better ? ` For photos choose the model “${better.name}”.` : ""}`;
  show(byId("world"), Boolean(world && page.file));
}

function ask(expressions) {
  return inTurn(async (current) => {
    progress(expressions.length > 1 ? `Looking for ${expressions.length} objects` : `Looking for ${expressions[0]}`);
    const answer = await withImage((id) => api.segment(id, expressions, model().name));
    if (!current()) return;
    for (const data of answer.results) {
      const before = page.results.find((one) => one.data.expression === data.expression);
      const free = COLOURS.find((colour) => !page.results.some((one) => one.colour === colour));
      const made = { data, on: true, colour: before?.colour || free || COLOURS[page.results.length % COLOURS.length],
        model: answer.model, threshold: answer.threshold, d: data.polygons ? masks.pathOf(data.polygons) : "" };
      if (before) page.results[page.results.indexOf(before)] = made;
      else page.results.push(made);
    }
    refresh();
    say(answer.results.map((data) => `${data.expression}: ${data.error || summary(data)}`).join(". "));
  });
}

const share = (data) => (100 * data.area) / (page.image.width * page.image.height);

function place(box) {
  const third = (low, high, size) => Math.min(2, Math.floor((1.5 * (low + high)) / size));
  const across = ["left", "centre", "right"][third(box[0], box[2], page.image.width)];
  const down = ["top", "middle", "bottom"][third(box[1], box[3], page.image.height)];
  return across === "centre" && down === "middle" ? "in the centre" : `${down} ${across}`;
}

function summary(data) {
  if (!data.area) return "nothing found";
  return `score ${data.score.toFixed(2)}, ${share(data).toFixed(1)} % of the image, ${place(data.box)}`;
}

function notes(data) {
  const found = [];
  if (data.unknown_words.length) found.push(`unknown words: ${data.unknown_words.join(", ")}`);
  for (const [typed, known] of Object.entries(data.read_as)) found.push(`read “${typed}” as “${known}”`);
  if (data.words_cut) found.push(`the last ${data.words_cut} words were not read`);
  return found.join("; ");
}

function choose(result) {
  if (page.chosen === result) return;
  page.chosen = result;
  markChosen();
  [...byId("results").children].forEach((row, n) => row.classList.toggle("chosen", page.results[n] === result));
}

function switchMask(result, on) {
  result.on = on;
  say(`${result.data.expression}: ${on ? "shown" : "hidden"}`);
  drawMasks(page, choose);
}

function row(result, number) {
  const { data } = result;
  const found = !data.error && data.area > 0;
  const box = element("input", { type: "checkbox", id: `mask-${number}`, checked: result.on, disabled: !found });
  box.addEventListener("change", () => switchMask(result, box.checked));
  const button = (text, action, label = text) => {
    const made = element("button", { type: "button", textContent: text, ariaLabel: `${label}: ${data.expression}` });
    made.addEventListener("click", () => Promise.resolve(action()).catch(fail));
    return made;
  };
  const line = element("li", {}, [
    element("div", { className: "head" }, [
      box, element("label", { htmlFor: box.id, textContent: `${number}. ${data.expression}` }),
      button("✕", () => { page.results = page.results.filter((one) => one !== result); page.chosen = null; refresh(); byId("expression").focus(); }, "Remove"),
    ]),
    element("p", { className: "figures", textContent: data.error || summary(data) }, found
      ? [" ", element("meter", { min: 0, max: 1, value: data.score, ariaLabel: "score" })] : []),
    notes(data) ? element("p", { className: "note", textContent: notes(data) }) : null,
    !found ? null : element("div", { className: "actions" }, [
      model().attention ? button("Words", () => lookAt(result), "Where the words look") : null,
      button("PNG", async () => masks.save(await masks.maskFile(data.rle), masks.fileName(data.expression, ".png")), "Download the mask as PNG"),
      button("RLE", () => masks.saveJson(data.rle, masks.fileName(data.expression, "-rle.json")), "Download the run lengths"),
      button("JSON", () => masks.saveJson({ model: result.model, threshold: result.threshold, ...data }, masks.fileName(data.expression, ".json")), "Download everything as JSON"),
      button("Cut-out", async () => masks.save(await masks.cutOut(page.file, data.rle, data.box), masks.fileName(data.expression, "-cut-out.png")), "Download the object on transparent ground"),
    ]),
  ]);
  line.style.setProperty("--swatch", found ? result.colour : "transparent");
  line.addEventListener("pointerenter", () => choose(found ? result : null));
  line.addEventListener("pointerleave", () => choose(null));
  line.addEventListener("focusin", () => choose(found ? result : null));
  return line;
}

function refresh() {
  byId("results").replaceChildren(...page.results.map((result, n) => row(result, n + 1)));
  show(byId("all"), page.results.length > 0);
  drawMasks(page, choose);
}

const lookAt = (result, layer = -1) => inTurn(async () => {
  progress("Following the words");
  const told = await withImage((id) => api.attention(id, result.data.expression, model().name, layer));
  page.attending = true;
  drawMasks(page, choose);
  openAttention(result.data.expression, told, (chosen) => lookAt(result, chosen));
  if (layer < 0) byId("attention-title").focus();
});

function closeAttention() {
  page.attending = false;
  show(byId("attention"), false);
  show(byId("heat"), false);
  tellPoints(null);
  drawMasks(page, choose);
}

async function start() {
  const told = await api.service();
  Object.assign(page, { models: told.models, limits: told.limits });
  byId("model").replaceChildren(...told.models.map((one) => element("option", { value: one.name, textContent: one.name })));
  show(byId("error"), false);
  show(byId("token-form"), false);
  await listExamples();
}

// Examples whose model this service has. A service that has the model of none shows them all: its own models answer them.
async function listExamples() {
  const all = await (await fetch("static/examples/index.json")).json();
  const served = all.filter((example) => page.models.some((one) => one.name === example.model));
  const listed = served.length ? served : all;
  byId("examples-note").textContent = served.length ? "" :
    `These expressions were written for other models than this service has (${[...new Set(all.map((one) => one.model))].join(", ")}). Its own models may not find the objects.`;
  show(byId("examples-note"), !served.length);
  byId("examples").replaceChildren(...listed.map((example) => {
    const address = `static/examples/${example.file}`;
    const label = `${example.title}: ${example.expressions.join(", ")}`;
    const button = element("button", { type: "button", title: label }, [element("img", { src: address, alt: label })]);
    button.addEventListener("click", async () => {
      const file = await (await fetch(address)).blob();
      await openPhoto(file, { expressions: example.expressions, modelName: example.model }).catch(fail);
    });
    return element("li", {}, [button]);
  }));
}

const pictureIn = (transfer) => [...(transfer?.files || [])].find((file) => file.type.startsWith("image/"));

for (const button of document.querySelectorAll(".choose")) button.addEventListener("click", () => byId("file").click());
byId("file").addEventListener("change", (event) => {
  const [file] = event.target.files;
  event.target.value = ""; // the same file may be chosen again
  if (file) openPhoto(file).catch(fail);
});
for (const kind of ["dragenter", "dragover"]) {
  document.addEventListener(kind, (event) => { event.preventDefault(); document.body.classList.add("over"); });
}
document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) document.body.classList.remove("over"); });
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("over");
  const file = pictureIn(event.dataTransfer);
  if (file) openPhoto(file).catch(fail);
  else fail(new Error("What was dropped is no picture file. Save the picture first, and drop the file."));
});
document.addEventListener("paste", (event) => {
  const file = pictureIn(event.clipboardData);
  if (file) { event.preventDefault(); openPhoto(file).catch(fail); }
});
byId("form").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = byId("expression").value.trim();
  if (!text) return;
  if (!page.file) return fail(new Error("Choose a photo first, or click an example."));
  byId("expression").value = "";
  ask([text]);
});
byId("model").addEventListener("change", () => {
  page.chosenModel = true;
  closeAttention();
  describeModel();
  if (page.results.length) ask(page.results.map((one) => one.data.expression));
  else refresh();
});
byId("bare").addEventListener("change", () => { page.bare = byId("bare").checked; drawMasks(page, choose); });
byId("clear").addEventListener("click", () => { page.results = []; closeAttention(); refresh(); byId("expression").focus(); });
byId("save-all").addEventListener("click", () => masks.saveJson(
  { image: page.image, results: page.results.map((one) => ({ model: one.model, threshold: one.threshold, ...one.data })) }, "m3att.json"));
byId("attention-close").addEventListener("click", closeAttention);
byId("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  api.setToken(byId("token").value);
  start().catch(fail);
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && page.attending) return closeAttention();
  const typing = event.target.matches("input:not([type=checkbox]):not([type=radio]), select, textarea");
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "/") { event.preventDefault(); byId("expression").focus(); }
  if (event.key === "h" || event.key === "H") byId("bare").click();
  const box = byId(`mask-${event.key}`);
  if (/^[1-9]$/.test(event.key) && box) box.click();
});
new ResizeObserver(placeHeat).observe(byId("canvas"));

start().catch(fail);
