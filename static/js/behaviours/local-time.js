// Adds the reader's own time to the tooltip of a <time> when their zone shows another one; the server's text stays.
(() => {
  "use strict";
  const format = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  const halves = new Intl.DateTimeFormat("en-US", { hour: "numeric", minute: "2-digit", hour12: true });
  const zone = new Intl.DateTimeFormat().resolvedOptions().timeZone;

  Levelhead.behaviour("local-time", (element) => {
    const at = new Date(element.dateTime);
    if (Number.isNaN(at.getTime())) return;
    const clock = at.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
    // The server writes 14:05 or 2:05 PM, with or without seconds, as the account's language does.
    const [short, half] = halves.format(at).split(/\s/);
    const same = new RegExp(`(^|\\D)(${clock}(?!.*[AP]M)|${short}(:\\d\\d)?\\s${half})`);
    if (same.test(element.title)) return;
    element.title = `${element.title}\n${format.format(at)} for you (${zone})`;
  });
})();
