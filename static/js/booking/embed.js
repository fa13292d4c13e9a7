// Puts a booking page into another site: <script async src="…/static/js/booking/embed.js" data-booking="https://…/book/…"></script>
// Only a frame and its height: the page inside knows nothing of the site around it, and the site nothing of the page.
(() => {
  "use strict";
  const script = document.currentScript;
  const address = script && script.dataset.booking;
  if (!address) return;
  const url = new URL(address);
  url.searchParams.set("embed", "1");
  const frame = document.createElement("iframe");
  frame.src = url.href;
  frame.title = script.dataset.title || "Book a time";
  frame.width = "100%";
  frame.height = "720";
  frame.loading = "lazy";
  frame.setAttribute("frameborder", "0");
  script.after(frame);
  addEventListener("message", (event) => {
    if (event.origin !== url.origin || event.source !== frame.contentWindow || !event.data || event.data.levelhead !== "height") return;
    const height = Number(event.data.height);
    if (height > 0 && height < 10000) frame.height = String(Math.ceil(height));
  });
})();
