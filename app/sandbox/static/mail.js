// Keeps the list of caught mail fresh and writes times in the reader's own zone.
import { clock, watch } from "./common.js";

const list = document.querySelector("#letters");

function localTimes(root) {
  for (const time of root.querySelectorAll("[data-clock]")) time.textContent = clock(time.dateTime);
}

async function look() {
  const answer = await fetch(location.href);
  if (!answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("#letters");
  localTimes(fresh);
  if (fresh.innerHTML === list.innerHTML) return;
  const focused = document.activeElement?.getAttribute("href");
  list.replaceChildren(...fresh.children);
  if (focused) list.querySelector(`a[href="${focused}"]`)?.focus();
}

localTimes(document);
watch(look, 2000);
