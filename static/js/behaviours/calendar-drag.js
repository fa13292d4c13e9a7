// An appointment is dragged to another time: a copy follows the pointer in steps of a quarter of an hour; letting it go asks in
// the drawer, which names the old and the new time. Nothing is moved before somebody agrees. A finger holds it for a moment
// first, since a finger that moves at once scrolls.
(() => {
  "use strict";
  const SNAP = 15;
  const ROW_MINUTES = 5;
  const THRESHOLD = 5;
  const FINGER_THRESHOLD = 10;
  const HOLD_MS = 400;
  // So near to an edge the hours scroll along.
  const EDGE = 48;

  Levelhead.behaviour("calendar-drag", (calendar) => {
    let drag = null;

    const begin = () => {
      drag.ghost = drag.block.cloneNode(true);
      drag.ghost.removeAttribute("id");
      drag.ghost.classList.add("is-ghost");
      drag.block.classList.add("is-moving");
      document.body.classList.add("is-dragging");
      calendar.dataset.dragged = "1";
      drag.creep = setInterval(creep, 30);
    };

    // A finger sees that it has it before it moves.
    const hold = () => {
      begin();
      drag.block.parentElement.append(drag.ghost);
      if (navigator.vibrate) navigator.vibrate(12);
    };

    const place = () => {
      const under = document.elementFromPoint(drag.at.x, drag.at.y);
      const column = under && under.closest(".cal-column");
      if (!column || !calendar.contains(column)) return;
      const first = Number(column.dataset.firstMinute);
      const minutes = Math.max(first, Levelhead.minutesAt(column, drag.at.y - drag.grabbed, SNAP));
      drag.to = `${column.dataset.date}T${Levelhead.clockOf(minutes)}`;
      drag.ghost.className = drag.ghost.className.replace(/\bt-\d+\b/, `t-${(minutes - first) / ROW_MINUTES}`).replace(/\blane-\d-of-\d\b/, "lane-0-of-1");
      const time = drag.ghost.querySelector(".numeric");
      if (time) time.textContent = Levelhead.clockOf(minutes);
      if (drag.ghost.parentElement !== column) column.append(drag.ghost);
    };

    const creep = () => {
      const hours = calendar.querySelector(".cal-scroll");
      if (!drag.at || !hours) return;
      const { top, bottom } = hours.getBoundingClientRect();
      const step = drag.at.y > bottom - EDGE ? 8 : drag.at.y < top + EDGE ? -8 : 0;
      const before = hours.scrollTop;
      hours.scrollTop += step;
      if (hours.scrollTop !== before) place();
    };

    const end = () => {
      clearTimeout(drag.timer);
      clearInterval(drag.creep);
      document.body.classList.remove("is-dragging");
      document.removeEventListener("pointermove", move);
      document.removeEventListener("pointerup", drop);
      document.removeEventListener("pointercancel", giveUp);
      document.removeEventListener("keydown", escape, true);
      // The click that follows pointerup must not open anything.
      setTimeout(() => delete calendar.dataset.dragged, 50);
      const done = drag;
      drag = null;
      return done;
    };

    const putBack = ({ ghost, block }) => {
      if (ghost) ghost.remove();
      block.classList.remove("is-moving");
    };

    const giveUp = () => putBack(end());

    const move = (event) => {
      if (event.pointerId !== drag.pointer) return;
      const far = Math.hypot(event.clientX - drag.x, event.clientY - drag.y);
      if (!drag.ghost && drag.byFinger) return far > FINGER_THRESHOLD ? giveUp() : undefined;
      if (!drag.ghost && far < THRESHOLD) return;
      if (!drag.ghost) begin();
      event.preventDefault();
      if (!drag.at && far < THRESHOLD) return;
      drag.at = { x: event.clientX, y: event.clientY };
      place();
    };

    const drop = (event) => {
      if (event.pointerId !== drag.pointer) return;
      const done = end();
      if (!done.to) return putBack(done);
      const query = new URLSearchParams({ to: done.to, zone: calendar.dataset.zone });
      htmx.ajax("GET", `${done.block.dataset.moveUrl}?${query}`, { target: "#drawer-body", swap: "innerHTML" });
      const drawer = document.getElementById("drawer");
      drawer.addEventListener("close", () => putBack(done), { once: true });
    };

    const escape = (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      giveUp();
    };

    calendar.addEventListener("pointerdown", (event) => {
      const block = event.target.closest("[data-move-url]");
      if (!block || event.button !== 0 || drag) return;
      const byFinger = event.pointerType === "touch";
      drag = { block, byFinger, pointer: event.pointerId, x: event.clientX, y: event.clientY, grabbed: event.clientY - block.getBoundingClientRect().top };
      if (byFinger) drag.timer = setTimeout(hold, HOLD_MS);
      document.addEventListener("pointermove", move);
      document.addEventListener("pointerup", drop);
      document.addEventListener("pointercancel", giveUp);
      document.addEventListener("keydown", escape, true);
    });

    // While a finger holds a block, it neither scrolls nor clicks; the browser asks only where one could be held.
    const stay = (event) => calendar.dataset.dragged && event.cancelable && event.preventDefault();
    calendar.querySelectorAll("[data-move-url]").forEach((block) => {
      block.addEventListener("touchmove", stay, { passive: false });
      block.addEventListener("touchend", stay, { passive: false });
      block.addEventListener("contextmenu", (event) => drag && drag.byFinger && event.preventDefault());
    });

    calendar.addEventListener(
      "click",
      (event) => {
        if (!calendar.dataset.dragged) return;
        event.preventDefault();
        event.stopPropagation();
      },
      { capture: true },
    );
  });
})();
