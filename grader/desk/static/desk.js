// Keys, zoom, drafts, and the next answer fetched ahead. Which key does what stands in the page (grader/desk/keys.py): an element that has
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
  if (event.key === "Enter" && event.target.matches("textarea") && event.ctrlKey) {
    const raise = event.target.form?.dataset.raising && query("button[value=raise]");
    event.target.blur();
    if (raise) return raise.click();
  } else if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || typing(event)) return;
  if (event.key === "Enter" && event.target.closest("a, button, input[name=candidate]")) return; // its own Enter
  if (event.key === "Enter" && event.target.name?.startsWith("mark.")) return nextBox(event); // one of a sample
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

// In a sample Enter goes from mark to mark; all of them are saved by the button.
function nextBox(event) {
  event.preventDefault();
  const boxes = [...document.querySelectorAll("input[name^='mark.']")];
  (boxes[boxes.indexOf(event.target) + 1] ?? query("form#marking button")).focus();
}

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
  const chosen = (name) => document.querySelectorAll(`input[name=${name}]:checked`).length;
  const left = button.dataset.count - chosen("except") + chosen("with");
  button.textContent = button.dataset.apply.replace("#", left);
}

document.addEventListener("input", (event) => {
  const box = event.target;
  if (box.name === "except" || box.name === "with") countGroup();
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

// the next answer, fetched while this one is looked at: it stands at once when this one is saved

let ahead = null; // {page: Promise of {path, title, main} or null}
let saving = Promise.resolve(); // saves go out one after the other, in the order of the keys
let arrived = performance.now();

function fetchAhead() {
  const address = query("main[data-ahead]")?.dataset.ahead;
  ahead = address ? { page: saving.then(() => lookAhead(address)) } : null;
}

async function lookAhead(address) {
  try {
    const answer = await fetch(address, { headers: { "X-Ahead": "1" } });
    if (answer.status !== 200) return null;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const main = document.adoptNode(page.querySelector("main[data-ahead]"));
    if (main.dataset.answer === query("main").dataset.answer) return null; // the only one left
    await Promise.all([...main.querySelectorAll("img")].map(loaded));
    return { path: main.dataset.path, title: page.title, main };
  } catch {
    return null; // then the ordinary way is taken
  }
}

// The very element that will be shown, so that its picture is decoded by then.
function loaded(picture) {
  picture.src = picture.getAttribute("src"); // it was parsed in a page that loads nothing
  return picture.decode().catch(() => {});
}

function passes(form, pressed) {
  if (pressed !== "save") return true;
  const mark = form.elements.mark.value.trim().replace(",", ".");
  const steps = Number(mark) / Number(form.dataset.step || 0.01);
  const whole = Math.abs(steps - Math.round(steps)) < 1e-6 || Number(mark) === Number(form.dataset.max);
  return mark !== "" && Number(mark) >= 0 && Number(mark) <= Number(form.dataset.max) && whole;
}

document.addEventListener(
  "submit",
  (event) => {
    const form = event.target;
    const pressed = event.submitter?.value ?? "save";
    if (pressed === "raise" && !form.elements.comment.value.trim()) {
      event.preventDefault(); // the leader needs a reason: write it, then Ctrl and Enter raises the answer
      event.stopImmediatePropagation();
      form.dataset.raising = "1";
      return form.elements.comment.focus();
    }
    if (form.elements.seconds) form.elements.seconds.value = ((performance.now() - arrived) / 1000).toFixed(1);
    if (!form.closest("main[data-ahead]") || form.dataset.draft === undefined || !ahead || !passes(form, pressed)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    goAhead(form, event.submitter);
  },
  true,
);

async function goAhead(form, submitter) {
  busy = true;
  const following = await ahead.page;
  if (!following) {
    ahead = null; // nothing waits, or it cannot be told: save, and let the server say where to go
    busy = false;
    return form.requestSubmit(submitter);
  }
  const given = { full: form.dataset.max, zero: "0" }[submitter?.value];
  if (given !== undefined) form.elements.mark.value = given;
  const left = { path: location.pathname, title: document.title, main: query("main") };
  const body = new URLSearchParams(new FormData(form, submitter));
  keep(form);
  query("#notice").ariaBusy = "true"; // until what was saved is acknowledged
  saving = saving.then(() => save(form.getAttribute("action"), body, left));
  busy = false;
  put(following);
  window.htmx.process(following.main);
}

function put(page) {
  query("main").replaceWith(page.main);
  document.title = page.title;
  history.replaceState({ htmx: true }, ""); // going back loads the answer that is left, as it then stands
  history.pushState({ htmx: true }, "", page.path);
  window.scrollTo(0, 0);
  arrive();
}

async function save(path, body, left) {
  try {
    const answer = await fetch(path, { method: "POST", body, headers: { "X-Ahead": "1" } });
    const said = await answer.text();
    const why = answer.headers.get("X-Said") ? said : "";
    if (!answer.ok) return notSaved(answer.status === 409 && why ? null : left, why);
    localStorage.removeItem(draftOf(path));
    query("#lost").hidden = true;
    const notice = document.createElement("p");
    notice.className = "notice";
    notice.textContent = said;
    query("#notice").replaceChildren(notice);
  } catch {
    notSaved(left, "");
  } finally {
    query("#notice").ariaBusy = null;
  }
}

// An answer that could not be saved comes back as it was, and says why; one that is not the marker's any more
// (left is null) would only be refused again.
function notSaved(left, why) {
  const lost = query("#lost");
  lost.textContent = why || lost.dataset.words;
  lost.hidden = false;
  query("#notice").replaceChildren();
  if (left) put(left);
}

// A lease lasts as long as the page is looked at.
setInterval(() => {
  const form = query("main[data-renew] form[data-draft]");
  if (!form || document.hidden) return;
  const body = new URLSearchParams({ csrf: form.elements.csrf.value, token: form.elements.token.value });
  fetch(query("main").dataset.renew, { method: "POST", body }).catch(() => {});
}, 60_000);

// every page, the first and those swapped in

function arrive() {
  arrived = performance.now();
  fetchAhead();
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
