// Puts a slider below each number of the form that has a range, and calculates again when one is
// moved. Without this, the form is sent by its button.
const form = document.getElementById("question");
const RANGES = {
  requests_per_day: { from: 1, to: 6, logarithmic: true },
  peak_per_s: { from: -1, to: 3, logarithmic: true },
  escalation_rate: { from: 0, to: 1, logarithmic: false },
};
let waiting;

function valueOf(range, place) {
  if (!range.logarithmic) return place.toFixed(2);
  const value = 10 ** place;
  return value >= 10 ? String(Math.round(value)) : value.toFixed(1);
}

async function calculate() {
  const asked = new URLSearchParams();
  for (const [name, value] of new FormData(form)) if (value) asked.append(name, value);
  const url = `${form.getAttribute("action")}?${asked}`;
  const answer = await fetch(url, { credentials: "same-origin" }).catch(() => null);
  if (!answer || !answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.getElementById("answer");
  if (fresh) document.getElementById("answer").replaceChildren(...fresh.childNodes);
  history.replaceState(null, "", url);
}

for (const field of form ? form.querySelectorAll("[data-slider]") : []) {
  const range = RANGES[field.dataset.slider];
  const slider = document.createElement("input");
  const label = field.labels[0] ? field.labels[0].textContent : field.name;
  Object.assign(slider, { type: "range", min: range.from, max: range.to, step: 0.01 });
  slider.setAttribute("aria-label", label);
  const given = Number(field.value);
  if (field.value && given >= 0) slider.value = range.logarithmic ? Math.log10(given) : given;
  slider.addEventListener("input", () => {
    field.value = valueOf(range, Number(slider.value));
    clearTimeout(waiting);
    waiting = setTimeout(calculate, 250);
  });
  field.after(slider);
}
