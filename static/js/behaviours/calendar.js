// The calendar by keyboard (t today, arrows, d w m l for the views, n new), the line of now, the browser's own time zone among
// the choices, and a click on a free time, which leads to the form that books it.
(() => {
  "use strict";
  const SNAP = 15;
  const ROW_MINUTES = 5;

  const isTyping = (element) => element.isContentEditable || ["TEXTAREA", "SELECT", "INPUT"].includes(element.tagName);

  // Minutes from midnight at a height inside a column.
  Levelhead.minutesAt = (column, y, snap = SNAP) => {
    const box = column.getBoundingClientRect();
    const row = column.querySelector(".cal-fill").getBoundingClientRect();
    const rows = Number(column.querySelector(".cal-fill").className.match(/d-(\d+)/)[1]);
    const minutes = Number(column.dataset.firstMinute) + ((y - box.top) / row.height) * rows * ROW_MINUTES;
    return Math.floor(minutes / snap) * snap;
  };
  Levelhead.clockOf = (minutes) => `${String(Math.floor(minutes / 60)).padStart(2, "0")}:${String(minutes % 60).padStart(2, "0")}`;

  const addOwnZone = (calendar) => {
    const select = calendar.querySelector(".cal-zone");
    const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
    if (!select || !own || [...select.options].some((option) => option.value === own)) return;
    select.add(new Option(`${own.split("/").pop().replaceAll("_", " ")} (this device)`, own));
  };

  const moveNow = (calendar) => {
    const line = calendar.querySelector("[data-now]");
    if (!line) return;
    const parts = new Intl.DateTimeFormat("en-GB", { timeZone: calendar.dataset.zone, hour: "2-digit", minute: "2-digit", hourCycle: "h23" }).format(new Date());
    const [hours, minutes] = parts.split(":").map(Number);
    const row = Math.floor((hours * 60 + minutes - Number(line.parentElement.dataset.firstMinute)) / ROW_MINUTES);
    if (row >= 0 && row < 288) line.className = `cal-now t-${row}`;
  };

  Levelhead.behaviour("calendar", (calendar) => {
    addOwnZone(calendar);
    const timer = setInterval(() => (calendar.isConnected ? moveNow(calendar) : clearInterval(timer)), 60000);
    calendar.addEventListener("click", (event) => {
      const column = event.target.closest(".cal-column");
      if (!column || event.target.closest(".cal-block") || calendar.dataset.dragged) return;
      const at = Levelhead.clockOf(Levelhead.minutesAt(column, event.clientY, 30));
      const query = new URLSearchParams({ on: column.dataset.date, at, zone: calendar.dataset.zone });
      location.assign(`${calendar.dataset.newUrl}?${query}`);
    });
  });

  document.addEventListener("keydown", (event) => {
    const calendar = document.getElementById("calendar");
    if (!calendar || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (isTyping(event.target) || document.querySelector("dialog[open], [popover]:popover-open")) return;
    const found = event.key === "n" ? document.getElementById("calendar-new") : calendar.querySelector(`[data-cal-key="${CSS.escape(event.key)}"]`);
    // The arrows scroll the hours while those have the focus.
    if (!found || (event.key.startsWith("Arrow") && event.target.closest(".cal-list, .menu"))) return;
    event.preventDefault();
    found.click();
  });
})();
