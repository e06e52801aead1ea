// Keys of the page Review: r right, w wrong, s skip, c correct. Without this file the buttons do
// the same.
const correction = document.getElementById("correction");
let sent = false;

function openCorrection() {
  if (!correction) return;
  correction.open = true;
  const first = correction.querySelector("input:not([type=hidden]), select, textarea");
  (first ?? correction).focus();
}

document.addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey || event.repeat) return;
  const typing = event.target.closest("input, textarea, select");
  if (event.key === "Escape" && typing && correction?.contains(typing)) {
    correction.open = false;
    document.getElementById("content").focus();
    return;
  }
  if (typing) return;
  const key = event.key.toLowerCase();
  const button = ["r", "w", "s", "c"].includes(key)
    ? document.querySelector(`[data-key="${key}"]`)
    : null;
  if (!button) return;
  event.preventDefault();
  if (key === "c") openCorrection();
  else button.click();
});

document.querySelector('[data-key="c"]')?.addEventListener("click", (event) => {
  event.preventDefault();
  openCorrection();
});

// A second press while the answer is on its way is not sent.
for (const form of document.querySelectorAll("form")) {
  form.addEventListener("submit", (event) => {
    if (sent) event.preventDefault();
    sent = true;
  });
}
// A page that comes back from the browser's memory is sent anew.
addEventListener("pageshow", () => {
  sent = false;
});
