// The choice between automatic, light and dark in the person's menu; ../theme.js applies it.
(() => {
  "use strict";
  const YEAR_S = 31536000;

  Levelhead.behaviour("theme", (group) => {
    const current = group.querySelector(`[value=${LevelheadTheme.choice()}]`);
    if (current) current.checked = true;
    group.addEventListener("change", (event) => {
      const secure = location.protocol === "https:" ? "; secure" : "";
      document.cookie = `theme=${event.target.value}; path=/; max-age=${YEAR_S}; samesite=lax${secure}`;
      LevelheadTheme.apply();
    });
  });
})();
