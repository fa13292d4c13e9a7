// The phones: one card per customer, a thread per business, kept fresh by asking for what changed.
import { ask, clock, make, prettyNumber, say, watch } from "./common.js";

const FIRST_SHOWN = 3;
const STRANGERS = 6;
const KEY = "simulator.phones";

const chips = document.querySelector(".chips");
const shelf = document.querySelector(".phones");
const blank = document.querySelector("#phone");
const narrow = matchMedia("(max-width: 760px)");

let seq = 0;
let epoch = null;
let handsets = [];
let businesses = [];
const messages = new Map(); // sid -> message
const cards = new Map(); // number -> card
const unread = new Map(); // number -> count
let shown = JSON.parse(localStorage.getItem(KEY) || "null");
let loaded = false;

function arrived(message) {
  return message.mine || ["sent", "delivered", "read", "undelivered", "failed"].includes(message.status);
}

function thread(phone, business) {
  return [...messages.values()]
    .filter((m) => m.phone === phone && m.business === business && arrived(m))
    .sort((a, b) => a.at.localeCompare(b.at));
}

function lastBusiness(phone) {
  const mine = [...messages.values()].filter((m) => m.phone === phone && arrived(m));
  mine.sort((a, b) => a.at.localeCompare(b.at));
  return mine.at(-1)?.business;
}

function stateOf(message) {
  if (message.mine) {
    if (!message.webhook) return ["Sending…", ""];
    const { status, error } = message.webhook;
    if (status >= 200 && status < 300) return ["Delivered to the app", ""];
    return [status ? `The app answered ${status}` : `Not delivered: ${error}`, "bad"];
  }
  if (message.status === "failed" || message.status === "undelivered") {
    return [`Never arrived: ${message.error || "unknown"} (${message.error_code})`, "bad"];
  }
  return [message.automatic ? "Automatic answer by the carrier" : "", ""];
}

function bubble(message) {
  const [state, tone] = stateOf(message);
  const lost = !message.mine && tone === "bad";
  const content = make("div", { class: "bubble" });
  for (const url of message.media) {
    content.append(make("a", { href: url, target: "_blank" }, make("img", { src: url, alt: "Picture" })));
  }
  if (message.body) content.append(make("span", {}, message.body));
  const note = [clock(message.at), state].filter(Boolean).join(" · ");
  const side = message.mine ? "mine" : "theirs";
  return make("li", { class: `${side}${lost ? " lost" : ""}` }, content, make("small", { class: tone }, note));
}

function initials(name) {
  return name.split(/\s+/).map((word) => word[0] || "").slice(0, 2).join("").toUpperCase();
}

function hue(number) {
  return Number(number.slice(-4)) % 6;
}

function remember() {
  localStorage.setItem(KEY, JSON.stringify(shown));
}

async function readPicture(blob) {
  const data = await new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(new Error("The picture could not be read."));
    reader.readAsDataURL(blob);
  });
  return { content_type: blob.type, data: data.slice(data.indexOf(",") + 1), preview: data };
}

class Card {
  constructor(handset) {
    this.number = handset.number;
    this.root = blank.content.firstElementChild.cloneNode(true);
    this.select = this.root.querySelector("select");
    this.list = this.root.querySelector(".thread");
    this.text = this.root.querySelector("textarea");
    this.tray = this.root.querySelector(".tray");
    this.attached = this.root.querySelector(".attached");
    this.picture = null;
    this.atEnd = true;
    this.business = lastBusiness(handset.number) || handset.business || businesses[0]?.number;
    const avatar = this.root.querySelector(".avatar");
    avatar.textContent = initials(handset.name);
    avatar.classList.add(`hue-${hue(handset.number)}`);
    this.root.querySelector("h2").textContent = handset.name;
    this.root.setAttribute("aria-label", `${handset.name}'s phone`);
    this.root.querySelector(".number").textContent = prettyNumber(handset.number);
    this.listen();
    this.drawBusinesses();
    this.drawThread();
  }

  listen() {
    this.root.querySelector(".put-away").addEventListener("click", () => show(this.number, false));
    this.list.addEventListener("scroll", () => {
      this.atEnd = this.list.scrollHeight - this.list.scrollTop - this.list.clientHeight < 60;
    });
    // A picture grows its bubble when it arrives; `load` does not bubble, hence the capture.
    this.list.addEventListener("load", () => this.stayAtEnd(), true);
    new ResizeObserver(() => this.stayAtEnd()).observe(this.list);
    this.select.addEventListener("change", () => {
      this.business = this.select.value;
      this.atEnd = true;
      this.drawThread();
    });
    for (const button of this.root.querySelectorAll("[data-text]")) {
      button.addEventListener("click", () => this.send(button.dataset.text));
    }
    const attach = this.root.querySelector(".attach");
    attach.addEventListener("click", () => {
      this.tray.hidden = !this.tray.hidden;
      attach.setAttribute("aria-expanded", String(!this.tray.hidden));
    });
    for (const button of this.tray.querySelectorAll("[data-picture]")) {
      button.addEventListener("click", async () => this.attach(await (await fetch(button.dataset.picture)).blob()));
    }
    const upload = this.tray.querySelector("input");
    upload.addEventListener("change", () => upload.files[0] && this.attach(upload.files[0]));
    this.attached.querySelector("button").addEventListener("click", () => this.detach());
    this.text.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        this.root.querySelector(".composer").requestSubmit();
      }
    });
    this.root.querySelector(".composer").addEventListener("submit", (event) => {
      event.preventDefault();
      this.send(this.text.value);
    });
  }

  async attach(blob) {
    try {
      this.picture = await readPicture(blob);
    } catch (error) {
      say(error.message, true);
      return;
    }
    this.attached.querySelector("img").src = this.picture.preview;
    this.attached.hidden = false;
    this.tray.hidden = true;
    this.root.querySelector(".attach").setAttribute("aria-expanded", "false");
    this.text.focus();
  }

  detach() {
    this.picture = null;
    this.attached.hidden = true;
  }

  async send(body) {
    if (!this.business) {
      say("There is no business to text yet.", true);
      return;
    }
    if (!body.trim() && !this.picture) return;
    const media = this.picture ? [{ content_type: this.picture.content_type, data: this.picture.data }] : [];
    try {
      this.atEnd = true;
      await ask("/_sim/twilio/inbound", "POST", { from: this.number, to: this.business, body, media });
      if (body === this.text.value) this.text.value = "";
      this.detach();
      await refresh();
    } catch (error) {
      say(error.message, true);
    }
  }

  drawBusinesses() {
    const options = businesses.map((b) => {
      const name = b.account && b.account !== b.name ? `${b.account} · ${b.name}` : b.name;
      return make("option", { value: b.number }, b.name === b.number ? [b.account, prettyNumber(b.number)].filter(Boolean).join(" · ") : name);
    });
    this.select.replaceChildren(...options);
    if (!businesses.some((b) => b.number === this.business)) this.business = businesses[0]?.number;
    if (this.business) this.select.value = this.business;
  }

  follow(business) {
    // A text from another business comes to the front unless somebody is writing.
    if (business !== this.business && !this.text.value) {
      this.business = business;
      this.select.value = business;
      this.atEnd = true;
    }
  }

  drawThread() {
    const { atEnd } = this;
    const rows = thread(this.number, this.business);
    if (rows.length) this.list.replaceChildren(...rows.map(bubble));
    else this.list.replaceChildren(make("li", { class: "empty" }, this.business ? "No texts yet. Say hello!" : "No business has a number here yet."));
    this.atEnd = atEnd;
    this.stayAtEnd();
  }

  stayAtEnd() {
    if (this.atEnd) this.list.scrollTop = this.list.scrollHeight;
  }
}

function show(number, on) {
  shown = on ? (narrow.matches ? [number] : [...shown.filter((n) => n !== number), number]) : shown.filter((n) => n !== number);
  if (on) unread.delete(number);
  remember();
  draw();
}

function strangers() {
  const known = new Set([...handsets, ...businesses].map((h) => h.number));
  const found = new Set();
  for (const m of [...messages.values()].sort((a, b) => b.at.localeCompare(a.at))) {
    if (!known.has(m.phone)) found.add(m.phone);
    if (found.size === STRANGERS) break;
  }
  return [...found];
}

async function addPhone(number, name) {
  const added = await ask("/_sim/twilio/handsets", "POST", { number, name });
  await refresh();
  show(added.number, true);
}

function drawChips() {
  const known = handsets.map((h) => {
    const count = unread.get(h.number) || 0;
    const chip = make("button", { type: "button", class: "chip", "aria-pressed": String(shown.includes(h.number)) },
      make("span", { class: `avatar small hue-${hue(h.number)}`, "aria-hidden": "true" }, initials(h.name)),
      h.name,
      count ? make("span", { class: "badge", "aria-label": `${count} new` }, String(count)) : null);
    chip.addEventListener("click", () => show(h.number, narrow.matches || !shown.includes(h.number)));
    return chip;
  });
  const others = strangers().map((number) => {
    const chip = make("button", { type: "button", class: "chip stranger", title: "This number got a text. Pick it up." }, `Pick up ${prettyNumber(number)}`);
    chip.addEventListener("click", () => addPhone(number, "Customer").catch((error) => say(error.message, true)));
    return chip;
  });
  const focused = [...chips.children].indexOf(document.activeElement);
  chips.replaceChildren(...known, ...others);
  if (focused >= 0) chips.children[focused]?.focus();
}

function draw() {
  for (const [number, card] of cards) {
    if (!shown.includes(number) || !handsets.some((h) => h.number === number)) {
      card.root.remove();
      cards.delete(number);
    }
  }
  const visible = narrow.matches ? shown.slice(-1) : shown;
  for (const number of shown) {
    const handset = handsets.find((h) => h.number === number);
    if (!handset) continue;
    if (!cards.has(number)) {
      const card = new Card(handset);
      cards.set(number, card);
      shelf.append(card.root);
    }
    cards.get(number).root.hidden = !visible.includes(number);
    cards.get(number).stayAtEnd();
  }
  if (!cards.size) shelf.replaceChildren(make("p", { class: "nothing" }, handsets.length ? "Pick a phone above." : "Add a phone to begin: any name, any number."));
  else shelf.querySelector(".nothing")?.remove();
  drawChips();
}

function take(feed) {
  if (epoch !== null && feed.epoch !== epoch) {
    // Another world: the simulator was restarted or reset. The next round asks for all of it.
    messages.clear();
    seq = 0;
    epoch = null;
    for (const card of cards.values()) card.drawThread();
    return;
  }
  ({ epoch } = feed);
  const sameShops = JSON.stringify(businesses) === JSON.stringify(feed.businesses);
  const samePhones = JSON.stringify(handsets) === JSON.stringify(feed.handsets);
  ({ handsets, businesses, seq } = feed);
  const touched = new Set();
  for (const message of feed.messages) {
    const before = messages.get(message.sid);
    messages.set(message.sid, message);
    touched.add(message.phone);
    const fresh = arrived(message) && !(before && arrived(before));
    if (loaded && fresh && !message.mine) {
      if (shown.includes(message.phone)) cards.get(message.phone)?.follow(message.business);
      else unread.set(message.phone, (unread.get(message.phone) || 0) + 1);
    }
  }
  if (shown === null && handsets.length) shown = handsets.slice(0, narrow.matches ? 1 : FIRST_SHOWN).map((h) => h.number);
  for (const card of cards.values()) {
    if (!sameShops) card.drawBusinesses();
    if (touched.has(card.number)) card.drawThread();
  }
  if (!loaded || touched.size || !sameShops || !samePhones) {
    loaded = true;
    if (shown !== null) draw();
    else shelf.replaceChildren(make("p", { class: "nothing" }, "Add a phone to begin: any name, any number."));
  }
}

let asking = Promise.resolve();
function refresh() {
  asking = asking.catch(() => {}).then(async () => take(await ask(`/_sim/twilio/feed?after=${seq}`)));
  return asking;
}

const adder = document.querySelector(".add-phone");
adder.querySelector("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.currentTarget;
  try {
    shown ??= [];
    await addPhone(form.elements.number.value, form.elements.name.value);
    form.reset();
    adder.open = false;
  } catch (error) {
    say(error.message, true);
  }
});
narrow.addEventListener("change", draw);
watch(refresh);
