// An appointment is dragged to another time: a copy follows the pointer in steps of a quarter of an hour; letting it go asks in
// the drawer, which names the old and the new time. Nothing is moved before somebody agrees. Not by touch, which scrolls.
(() => {
  "use strict";
  const SNAP = 15;
  const ROW_MINUTES = 5;
  const THRESHOLD = 5;

  Levelhead.behaviour("calendar-drag", (calendar) => {
    let drag = null;

    const begin = () => {
      drag.ghost = drag.block.cloneNode(true);
      drag.ghost.removeAttribute("id");
      drag.ghost.classList.add("is-ghost");
      drag.block.classList.add("is-moving");
      document.body.classList.add("is-dragging");
      calendar.dataset.dragged = "1";
    };

    const place = (event) => {
      const under = document.elementFromPoint(event.clientX, event.clientY);
      const column = under && under.closest(".cal-column");
      if (!column || !calendar.contains(column)) return;
      const first = Number(column.dataset.firstMinute);
      const minutes = Math.max(first, Levelhead.minutesAt(column, event.clientY - drag.grabbed, SNAP));
      drag.to = `${column.dataset.date}T${Levelhead.clockOf(minutes)}`;
      drag.ghost.className = drag.ghost.className.replace(/\bt-\d+\b/, `t-${(minutes - first) / ROW_MINUTES}`).replace(/\blane-\d-of-\d\b/, "lane-0-of-1");
      const time = drag.ghost.querySelector(".numeric");
      if (time) time.textContent = Levelhead.clockOf(minutes);
      if (drag.ghost.parentElement !== column) column.append(drag.ghost);
    };

    const end = () => {
      document.body.classList.remove("is-dragging");
      document.removeEventListener("pointermove", move);
      document.removeEventListener("pointerup", drop);
      document.removeEventListener("keydown", giveUp, true);
      // The click that follows pointerup must not open anything.
      setTimeout(() => delete calendar.dataset.dragged, 0);
    };

    const putBack = ({ ghost, block }) => {
      if (ghost) ghost.remove();
      block.classList.remove("is-moving");
    };

    const move = (event) => {
      if (!drag.ghost && Math.hypot(event.clientX - drag.x, event.clientY - drag.y) < THRESHOLD) return;
      if (!drag.ghost) begin();
      event.preventDefault();
      place(event);
    };

    const drop = () => {
      end();
      const done = drag;
      drag = null;
      if (!done.ghost) return;
      if (!done.to) return putBack(done);
      const query = new URLSearchParams({ to: done.to, zone: calendar.dataset.zone });
      htmx.ajax("GET", `${done.block.dataset.moveUrl}?${query}`, { target: "#drawer-body", swap: "innerHTML" });
      const drawer = document.getElementById("drawer");
      drawer.addEventListener("close", () => putBack(done), { once: true });
    };

    const giveUp = (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      end();
      putBack(drag);
      drag = null;
    };

    calendar.addEventListener("pointerdown", (event) => {
      const block = event.target.closest("[data-move-url]");
      if (!block || event.button !== 0 || event.pointerType === "touch" || drag) return;
      drag = { block, x: event.clientX, y: event.clientY, grabbed: event.clientY - block.getBoundingClientRect().top };
      document.addEventListener("pointermove", move);
      document.addEventListener("pointerup", drop);
      document.addEventListener("keydown", giveUp, true);
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
