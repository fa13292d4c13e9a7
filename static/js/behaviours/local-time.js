// Adds the reader's own time to the tooltip of a <time> when their zone shows another one; the server's text stays.
(() => {
  "use strict";
  const format = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  const zone = new Intl.DateTimeFormat().resolvedOptions().timeZone;

  Levelhead.behaviour("local-time", (element) => {
    const at = new Date(element.dateTime);
    if (Number.isNaN(at.getTime())) return;
    const clock = at.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
    if (element.title.includes(clock)) return;
    element.title = `${element.title}\n${format.format(at)} for you (${zone})`;
  });
})();
