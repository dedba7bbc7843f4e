// Uploads by drag, folder and camera, one file at a time so that each is answered at once; items of the assignment.

const query = (selector, from = document) => from.querySelector(selector);
document.documentElement.classList.add("scripted");

// uploads

const waiting = [];
let sending = false;

function line(form, name) {
  const item = document.createElement("li");
  const title = document.createElement("b");
  const words = document.createElement("span");
  title.textContent = name.split("/").pop();
  words.textContent = form.dataset.sending;
  item.className = "busy";
  item.append(title, " ", words);
  const list = query(".sent", form);
  list.prepend(item);
  return item;
}

function add(form, files) {
  const candidate = query("select[name=candidate]", form)?.value ?? "";
  for (const [file, path] of files) waiting.push({ form, file, path, candidate, item: line(form, path) });
  if (!sending) send();
}

async function send() {
  sending = true;
  let form = null;
  let came = 0;
  while (waiting.length) {
    const one = waiting.shift();
    form = one.form;
    came += await sendOne(one);
  }
  sending = false;
  if (form?.dataset.then && came) await renew(form.dataset.then);
}

async function sendOne({ form, file, path, candidate, item }) {
  const body = new FormData();
  body.set("candidate", candidate);
  body.set("path", path);
  body.set("files", file, "upload");
  const token = query("input[name=csrf]", form).value;
  const [, words] = [...item.children];
  try {
    const answer = await fetch(form.action.split("#")[0], { method: "POST", body, headers: { "X-Upload": "1", "X-CSRF-Token": token } });
    if (!answer.headers.get("content-type")?.includes("json")) throw new Error(answer.statusText);
    const told = await answer.json();
    item.className = told.taken ? "ok" : "bad";
    words.textContent = told.remedy ? `${told.words}. ${told.remedy}` : told.words;
    return told.taken ? 1 : 0;
  } catch {
    item.className = "bad";
    words.textContent = form.dataset.lost;
    const again = document.createElement("button");
    again.type = "button";
    again.textContent = form.dataset.retry;
    again.addEventListener("click", () => { again.remove(); item.className = "busy"; words.textContent = form.dataset.sending; waiting.push({ form, file, path, candidate, item }); if (!sending) send(); });
    item.append(" ", again);
    return 0;
  }
}

// what the board says of what came in, without losing what stands on it
async function renew(address) {
  const answer = await fetch(address);
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const selector of ["#photos h2", "#photos .came", "#state", ".papers"]) {
    const [old, now] = [query(selector), query(selector, fresh)];
    if (old && now) old.replaceWith(now);
    else if (now && selector === "#photos .came") query("#photos").append(now);
  }
  window.htmx?.process(document.body);
}

document.addEventListener("change", (event) => {
  const input = event.target;
  const form = input.closest?.("form[data-upload]");
  if (!form || input.type !== "file" || !input.files.length) return;
  add(form, [...input.files].map((file) => [file, file.webkitRelativePath || file.name]));
  input.value = "";
});

for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    const area = event.target.closest?.("[data-drop]") ?? (kind === "drop" ? null : query("[data-drop]"));
    if (kind !== "dragleave" && query("[data-drop]")) event.preventDefault();
    area?.classList.toggle("over", kind === "dragover");
    if (kind === "drop" && area) dropped(area.closest("form"), event.dataTransfer);
  });
}

async function dropped(form, transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return add(form, [...transfer.files].map((file) => [file, file.name]));
  const found = [];
  for (const entry of entries) await walk(entry, found);
  found.sort(([, a], [, b]) => a.localeCompare(b, undefined, { numeric: true }));
  add(form, found);
}

async function walk(entry, found) {
  if (entry.isFile) {
    if (entry.name.startsWith(".")) return;
    found.push([await new Promise((done, failed) => entry.file(done, failed)), entry.fullPath.replace(/^\//, "")]);
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    const some = await new Promise((done, failed) => reader.readEntries(done, failed));
    if (!some.length) return;
    for (const one of some) await walk(one, found);
  }
}

// the assignment

const recheck = (form) => query("[hx-post]", form)?.dispatchEvent(new CustomEvent("recheck", { bubbles: false }));

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  if ("next" in button.dataset) {
    const list = query("[data-pupils]", button.form);
    const rest = [...list.options].slice(list.selectedIndex + 1);
    const next = rest.find((option) => !option.dataset.came) ?? rest[0];
    if (next) list.value = next.value;
  } else if ("remove" in button.dataset) {
    const form = button.form;
    if (form.querySelectorAll(".item").length > 1) button.closest(".item").remove();
    recheck(form);
  } else if ("addItem" in button.dataset) {
    const items = [...button.form.querySelectorAll(".item")];
    const last = items[items.length - 1];
    const key = Math.max(0, ...items.map((item) => Number(item.dataset.key))) + 1;
    const before = Number(query("[name$='.id']", last)?.value);
    const number = Number.isInteger(before) && before > 0 ? before + 1 : items.length + 1;
    const kind = query("[name$='.type']", last)?.value ?? "choice";
    const answer = await fetch(`/homework/item?${new URLSearchParams({ key, number, kind })}`);
    const room = query("#items");
    room.insertAdjacentHTML("beforeend", await answer.text());
    const added = room.lastElementChild;
    added.scrollIntoView({ block: "center", behavior: "smooth" });
    query("textarea, input", added).focus({ preventScroll: true });
  } else if ("addCriterion" in button.dataset) {
    const list = query("ol", button.parentElement);
    const row = list.lastElementChild.cloneNode(true);
    const place = list.children.length;
    if (place >= 12) return;
    for (const input of row.querySelectorAll("input")) {
      input.name = input.name.replace(/\d+$/, place);
      input.value = "";
      const words = input.classList.contains("few") ? button.dataset.marks : button.dataset.words;
      input.setAttribute("aria-label", words.replace("#", place + 1));
    }
    for (const told of row.querySelectorAll(".told")) { told.id = told.id.replace(/\d+$/, place); told.textContent = ""; }
    list.append(row);
    query("input", row).focus();
  }
});

// errors stand beside their fields: the fields say so too
document.addEventListener("htmx:afterSettle", () => {
  for (const told of document.querySelectorAll("#assignment .told[id]")) {
    const input = document.getElementsByName(told.id.slice(2))[0];
    if (told.textContent.trim()) input?.setAttribute("aria-invalid", "true");
    else input?.removeAttribute("aria-invalid");
  }
});
