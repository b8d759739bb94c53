// The panel that shows where the words of an expression look.

import { element, show } from "./dom.js";
import { cellAt, leading, paint, spotlight } from "./heat.js";
import { placeHeat, tellPoints } from "./view.js";

const COLOURS = ["#00d6ff", "#ff4081", "#bef21e", "#ff9800", "#b388ff", "#ffe14d", "#4dd0a0", "#ff8a80", "#8ab4ff", "#f48fb1", "#c5e1a5", "#ffcc80"];
const byId = (id) => document.getElementById(id);
const percent = (value) => `${(100 * value).toFixed(value < 0.1 ? 1 : 0)} %`;
let told = null, word = 0;

const way = () => document.querySelector("input[name=way]:checked").value;
const colour = (number) => COLOURS[number % COLOURS.length];

let changeLayer = () => {};

// onLayer is called with the number of a layer that the user chooses, and shall open the panel again.
export function openAttention(expression, answer, onLayer) {
  told = answer;
  changeLayer = onLayer;
  word = way() === "val" ? -1 : 0;
  byId("attention-expression").textContent = `“${expression}”`;
  byId("layer").replaceChildren(...Array.from({ length: told.layers }, (_, n) =>
    element("option", { value: n, textContent: `${n + 1} of ${told.layers}`, selected: n === told.layer })));
  show(byId("attention"), true);
  refresh();
}

function refresh() {
  const all = way() === "val";
  if (!all && word < 0) word = 0;
  const chips = told.words.map((text, number) => chip(text, number));
  if (all) chips.unshift(chip("all words", -1));
  byId("words").replaceChildren(...chips);
  byId("attention-help").textContent = all
    ? "Each pixel divides its attention among the words. All words: the colour of the word it hears most, stronger where that word leads. Point at the photo to see the shares." +
      (told.padding.some((value) => value > 0) ? " This model reads the padding behind a sentence as words, and much of the attention goes there." : "")
    : "Each word divides its attention among the positions of the photo. Bright is where the chosen word looks. Point at the photo to see how strongly each word looks there.";
  draw();
}

function chip(text, number) {
  const made = element("button", { type: "button", textContent: text, ariaPressed: String(number === word) });
  made.style.setProperty("--swatch", number < 0 ? "transparent" : colour(number));
  const pick = () => {
    word = number;
    [...byId("words").children].forEach((one) => one.setAttribute("aria-pressed", String(one === made)));
    draw();
  };
  made.addEventListener("click", pick);
  made.addEventListener("focus", pick);
  made.addEventListener("pointerenter", pick);
  return made;
}

function draw() {
  show(byId("heat"), true);
  const place = placeHeat();
  if (!place) return;
  const maps = told[way()];
  const cells = word < 0 ? leading(maps, told.words.map((_, number) => colour(number))) : spotlight(maps[word], colour(word));
  paint(byId("heat"), cells, told, place.width, place.height);
  tellPoints((x, y) => {
    const cell = cellAt(told, x, y);
    const lines = told.words.map((text, number) => {
      const value = maps[number][cell];
      return way() === "val" ? `${text}: ${percent(value)}` : `${text}: ${percent(value / Math.max(...maps[number]))} of its strongest`;
    });
    return way() === "val" && told.padding[cell] > 0 ? [...lines, `padding: ${percent(told.padding[cell])}`] : lines;
  });
}

for (const radio of document.querySelectorAll("input[name=way]")) {
  radio.addEventListener("change", () => { word = way() === "val" ? -1 : 0; refresh(); });
}
byId("layer").addEventListener("change", () => changeLayer(Number(byId("layer").value)));
