// Small things the pages share: building elements, asking the simulator, saying what went wrong.

export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export async function ask(path, method = "GET", body) {
  const options = { method, headers: {} };
  if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers["Content-Type"] = "application/json";
  }
  const answer = await fetch(path, options);
  const content = answer.status === 204 ? {} : await answer.json();
  if (!answer.ok) throw new Error(content.error || `The simulator answered ${answer.status}.`);
  return content;
}

let toastTimer;
export function say(sentence, bad = false) {
  const toast = document.querySelector(".toast");
  toast.textContent = sentence;
  toast.classList.toggle("bad", bad);
  toast.hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => { toast.hidden = true; }, bad ? 6000 : 2500);
}

export function clock(iso) {
  const at = new Date(iso);
  const today = at.toDateString() === new Date().toDateString();
  return at.toLocaleString([], today ? { hour: "numeric", minute: "2-digit" } : { month: "short", day: "numeric", hour: "numeric", minute: "2-digit" });
}

// Calls `look` about every second, more slowly while the page is not looked at or the simulator is away.
export function watch(look, everyMs = 1000) {
  let away = false;
  const round = async () => {
    let wait = document.hidden ? everyMs * 5 : everyMs;
    try {
      await look();
      if (away) say("The simulator is back.");
      away = false;
    } catch {
      if (!away) say("The simulator does not answer. Is it still running?", true);
      away = true;
      wait = everyMs * 3;
    }
    setTimeout(round, wait);
  };
  round();
}

export function prettyNumber(number) {
  const us = /^\+1(\d{3})(\d{3})(\d{4})$/.exec(number);
  return us ? `+1 ${us[1]} ${us[2]} ${us[3]}` : number;
}
