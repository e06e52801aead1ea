// Keeps a page up to date while it is looked at: reads it again at intervals, for as long as it says
// so, and shows its new text. A dialog that is open stays as it is. A page that stands for another
// one, while a part of the service is away (503), is loaded again once that one answers.
const place = document.getElementById("live");

async function refresh() {
  if (document.hidden || place.querySelector("details[open]")) return true;
  try {
    const answer = await fetch(location.href, { credentials: "same-origin" });
    const answers = "standsFor" in place.dataset && answer.status !== 503;
    if (answer.status === 401 || answers) {
      location.reload();
      return false;
    }
    if (!answer.ok) return true;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById("live");
    if (!fresh) return false;
    const focused = document.activeElement;
    if (!place.contains(focused)) place.replaceChildren(...fresh.childNodes);
    return "everyS" in fresh.dataset;
  } catch {
    return true; // the server is away: it is asked again
  }
}

async function follow() {
  while (await new Promise((resume) => setTimeout(resume, 1000 * place.dataset.everyS)).then(refresh));
}

follow();
