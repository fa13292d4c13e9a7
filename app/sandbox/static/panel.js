// The trouble panel: orders faults, shows what waits, sets the pace, keeps the two logs fresh.
import { ask, clock, make, say, watch } from "./common.js";

const PLACES = {
  sending: { path: "/Messages\\.json$", method: "POST" },
  calendar: { provider: "google", path: "^/google/calendar/calendar/" },
  tokens: { provider: "google", path: "^/google/oauth/token" },
};
const PLACE_NAMES = { sending: "sending only", calendar: "Google Calendar only", tokens: "Google's tokens only" };
const TEXTS = new Set(["kind", "order", "event", "path", "method"]);
const list = document.querySelector(".faults");
const clearAll = document.querySelector(".clear-all");
const pace = document.querySelector(".pace");
const titles = new Map([...document.querySelectorAll(".trouble")].map((form) => [form.dataset.kind, form.querySelector("h3").textContent]));

function order(form) {
  const fault = { kind: form.dataset.kind };
  for (const [name, value] of new FormData(form)) {
    if (name === "where") {
      Object.assign(fault, PLACES[value]);
    } else if (name === "times") fault.times = value === "" ? null : Number(value);
    else fault[name] = TEXTS.has(name) ? value : Number(value);
  }
  return fault;
}

function describe(fault) {
  const settings = Object.entries(fault.settings).filter(([, value]) => value !== "").map(([name, value]) => `${name.replaceAll("_", " ")} ${value}`);
  const left = fault.times === null ? "until removed" : `${fault.times - fault.hits} to go`;
  const place = Object.keys(PLACES).find((name) => PLACES[name].path === fault.path);
  return [...settings, fault.event, PLACE_NAMES[place] || fault.path, left, fault.hits ? `happened ${fault.hits}×` : ""].filter(Boolean).join(" · ");
}

let drawnFaults = "";
function drawFaults(faults) {
  const now = JSON.stringify(faults);
  if (now === drawnFaults) return;
  drawnFaults = now;
  clearAll.hidden = faults.length === 0;
  const rows = faults.map((fault) => {
    const remove = make("button", { type: "button", class: "quiet" }, "Remove");
    remove.addEventListener("click", () => act(() => ask(`/_sim/faults/${fault.id}`, "DELETE")));
    return make("li", {}, make("span", {}, make("strong", {}, titles.get(fault.kind) || fault.kind), " ", make("small", {}, describe(fault))), remove);
  });
  list.replaceChildren(...(rows.length ? rows : [make("li", { class: "none" }, "Nothing. The provider behaves.")]));
}

async function act(deed, sentence) {
  try {
    await deed();
    if (sentence) say(sentence);
    await look();
  } catch (error) {
    say(error.message, true);
  }
}

function pill(entry) {
  if (entry.answered === false) return make("span", { class: "pill bad" }, "cut");
  if (entry.status === null) return make("span", { class: "pill bad", title: entry.error }, entry.error || "none");
  const tone = entry.status < 300 ? "good" : entry.status < 500 ? "warn" : "bad";
  return make("span", { class: `pill ${tone}` }, String(entry.status) + (entry.code ? ` · ${entry.code}` : ""));
}

function callRow(entry) {
  const path = entry.path.replace(/^\/google\/calendar\/calendar\/v3|^\/twilio\/api/, "").replace(/^\/google\/oauth/, "google").replace(/\/2010-04-01\/Accounts\/AC\w+/, "…").replace(/([A-Z]{2})\w{26}(\w{6})/g, "$1…$2");
  const about = entry.form.To ? `to ${entry.form.To}` : entry.form.grant_type || entry.caller || "";
  return make("tr", {}, make("td", {}, time(entry.at)),
    make("td", {}, make("code", {}, `${entry.method} ${path}`), " ", make("small", {}, [about, ...entry.faults].filter(Boolean).join(" · "))),
    make("td", {}, pill(entry)), make("td", { class: "extra" }, `${Math.round(entry.ms)} ms`));
}

const HOOKS = { inbound: "Customer's text", push: "Calendar push", channel: "Calendar channel opened" };
function hookRow(entry) {
  const params = entry.params || {};
  const what = entry.event === "status" ? `Report: ${params.MessageStatus}` : HOOKS[entry.event] || entry.event;
  const notes = [params.To && (entry.event === "status" ? `to ${params.To}` : `from ${params.From}`), params.To ? "" : entry.to, entry.copy ? `copy ${entry.copy}` : "",
    entry.attempt ? "retry" : "", entry.forged ? "forged" : ""].filter(Boolean).join(" · ");
  return make("tr", {}, make("td", {}, time(entry.at)), make("td", {}, what, " ", make("small", {}, notes)),
    make("td", {}, pill(entry)), make("td", { class: "extra" }, entry.ms === undefined ? "" : `${Math.round(entry.ms)} ms`));
}

function time(iso) {
  return make("time", { datetime: iso, title: clock(iso) }, new Date(iso).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" }));
}

const newest = { calls: 0, hooks: 0 };
function drawLog(name, entries, row, empty) {
  const last = entries.at(-1)?.n || 0;
  const body = document.querySelector(`.${name} tbody`);
  if (last === newest[name] && body.children.length) return;
  newest[name] = last;
  const rows = entries.slice().reverse().map(row);
  body.replaceChildren(...(rows.length ? rows : [make("tr", { class: "none" }, make("td", { colspan: 4 }, empty))]));
}

function select(name, value) {
  const field = pace.elements[name];
  if (field !== document.activeElement && [...field.options].some((option) => option.value === value)) field.value = value;
}

async function look() {
  const [{ faults }, settings, { requests }, { webhooks }] = await Promise.all([
    ask("/_sim/faults"), ask("/_sim/settings"), ask("/_sim/requests?limit=40"), ask("/_sim/webhooks?limit=40"),
  ]);
  drawFaults(faults);
  select("step", `${settings.step_delay_ms}-${settings.step_delay_max_ms}`);
  select("latency", String(settings.latency_ms));
  drawLog("calls", requests, callRow, "The app has not called yet.");
  drawLog("hooks", webhooks, hookRow, "Nothing was sent to the app yet.");
}

for (const form of document.querySelectorAll(".trouble")) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    act(() => ask("/_sim/faults", "POST", order(form)), `“${titles.get(form.dataset.kind)}” is waiting to happen.`);
  });
}
clearAll.addEventListener("click", () => act(() => ask("/_sim/faults", "DELETE"), "All trouble removed."));
pace.addEventListener("submit", (event) => event.preventDefault());
pace.addEventListener("change", () => {
  const [from, to] = pace.elements.step.value.split("-").map(Number);
  const wanted = { step_delay_ms: from, step_delay_max_ms: to, latency_ms: Number(pace.elements.latency.value) };
  act(() => ask("/_sim/settings", "POST", wanted), "Pace changed.");
});
watch(look);
