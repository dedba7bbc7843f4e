// Keys, zoom and drafts. Which key does what stands in the page (grader/desk/keys.py): an element that has
// data-keys is pressed, or entered if it is a text box, when one of its keys is pressed.

const zooms = [1, 1.5, 2, 3, 4];
const query = (selector) => document.querySelector(selector);
const isText = (element) => element.matches?.("textarea, input[type=text]");

// keys

function pressable(key) {
  const wanted = key.length === 1 ? key.toLowerCase() : key;
  return [...document.querySelectorAll("[data-keys]")].find((element) => element.dataset.keys.split(" ").includes(wanted));
}

function typing(event) {
  // In a comment or a number of a candidate every key writes; in a mark only what a number is made of does.
  const box = event.target;
  if (!isText(box)) return false;
  if (box.matches("textarea") || box.name === "candidate") return true;
  return /^([0-9.,]|Backspace|Delete|Arrow.*|Home|End|Tab)$/.test(event.key);
}

document.addEventListener("keydown", (event) => {
  const open = query("dialog[open]");
  if (open) {
    if (event.key === "?" || event.key === "？") open.close();
    return;
  }
  if (event.key === "Escape" && isText(event.target)) return event.target.blur();
  if (event.key === "Enter" && event.target.matches("textarea") && event.ctrlKey) event.target.blur();
  else if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || typing(event)) return;
  if (event.key === "Enter" && event.target.closest("a, button, input[name=candidate]")) return; // its own Enter
  const element = pressable(event.key);
  if (!element || event.repeat) return;
  if (isText(element)) {
    element.focus();
    element.select();
    if (element.matches("textarea")) event.preventDefault(); // the letter opens the box, it is not in it
    return;
  }
  event.preventDefault();
  if (!busy) element.click();
});

// One change at a time: a key pressed while an answer is being saved must not fall on the next one.
let busy = false;
document.addEventListener("htmx:beforeRequest", () => (busy = true));
document.addEventListener("htmx:afterSettle", () => (busy = false));
for (const name of ["htmx:sendError", "htmx:timeout", "htmx:sendAbort"])
  document.addEventListener(name, () => {
    busy = false;
    query("#lost").hidden = false;
  });

// what only moves the view

const actions = {
  back: () => history.back(),
  help: () => query("#help").showModal(),
  closer: () => zoom(+1),
  farther: () => zoom(-1),
};

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-do]");
  if (!button) return;
  actions[button.dataset.do]();
  if (event.detail) button.blur(); // after a click with the mouse, Enter saves again
});

function zoom(step) {
  const now = Number(sessionStorage.getItem("zoom") ?? 0);
  sessionStorage.setItem("zoom", Math.min(Math.max(now + step, 0), zooms.length - 1));
  showZoom();
}

function showZoom() {
  const factor = zooms[Number(sessionStorage.getItem("zoom") ?? 0)];
  for (const sheet of document.querySelectorAll("[data-zoom]")) {
    sheet.classList.toggle("zoomed", factor > 1);
    sheet.querySelector(".picture, img").style.width = factor > 1 ? `${100 * factor}%` : "";
  }
}

// criteria add up to the mark

const written = (value) => String(Math.round(value * 100) / 100);
const points = (form) => [...form.querySelectorAll("[name^='criterion.']")];

function showCriteria(form) {
  for (const box of form.querySelectorAll("[data-criterion]"))
    box.checked = Number(form.elements[`criterion.${box.dataset.criterion}`].value) > 0;
}

function addUp(form) {
  const sum = points(form).reduce((total, box) => total + (Number(box.value) || 0), 0);
  form.elements.mark.value = written(Math.min(sum, Number(form.dataset.max)));
}

// What is taken out of a group does not count on its button.
function countGroup() {
  const button = query("[data-apply]");
  const left = button.dataset.count - document.querySelectorAll("input[name=except]:checked").length;
  button.textContent = button.dataset.apply.replace("#", left);
}

document.addEventListener("input", (event) => {
  const box = event.target;
  if (box.name === "except") countGroup();
  const form = box.closest("form[data-draft]");
  if (!form) return;
  if (box.dataset.criterion !== undefined) {
    form.elements[`criterion.${box.dataset.criterion}`].value = box.checked ? written(Number(box.dataset.marks)) : "0";
    for (const other of points(form)) other.value ||= "0";
    addUp(form);
    box.blur();
  } else if (box.name?.startsWith("criterion.")) {
    showCriteria(form);
    addUp(form);
  }
  keep(form);
});

// drafts: what was typed and not saved yet outlives a reload and a restart of the desk

const texts = (form) => [...form.elements].filter(isText);
const draftOf = (path) => `draft:${path}`;

function keep(form) {
  const held = Object.fromEntries(texts(form).map((box) => [box.name, box.value]));
  localStorage.setItem(draftOf(form.getAttribute("action")), JSON.stringify(held));
}

function restore(form) {
  const held = JSON.parse(localStorage.getItem(draftOf(form.getAttribute("action"))) ?? "{}");
  for (const box of texts(form)) if (box.name in held) box.value = held[box.name];
}

document.addEventListener("htmx:afterRequest", (event) => {
  const { verb, path } = event.detail.requestConfig;
  if (verb === "post" && event.detail.successful) localStorage.removeItem(draftOf(path));
});

// every page, the first and those swapped in

function arrive() {
  for (const form of document.querySelectorAll("form[data-draft]")) {
    restore(form);
    showCriteria(form);
  }
  for (const box of document.querySelectorAll("[data-here]")) box.value = location.pathname;
  showZoom();
}

document.addEventListener("htmx:afterSettle", arrive);
document.addEventListener("htmx:historyRestore", arrive);
arrive();
