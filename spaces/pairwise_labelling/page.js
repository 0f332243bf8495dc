// One pair at a time. The server knows who was asked what; here is only what is on the screen.

const REST = 300; // milliseconds after a pair appears in which nothing counts: the second half of a double click
const PATIENCE = 2000; // milliseconds between tries where the server does not answer
const NAME = "pairwise_labelling.annotator";

const at = (id) => document.getElementById(id);
const pictures = [at("left").firstElementChild, at("right").firstElementChild];
const ahead = new Map(); // pictures that are loaded before they are asked about
let state = null; // what the server said last
let since = 0; // when the pair appeared
let isBusy = false;
let isClose = false; // whether the pictures are magnified
let place = [0.5, 0.5]; // which part of them is seen then, as shares of their sides

const remember = (name) => {
  try {
    name ? localStorage.setItem(NAME, name) : localStorage.removeItem(NAME);
  } catch {} // kept nowhere then: the name is asked for again
};
const recall = () => {
  try {
    return localStorage.getItem(NAME);
  } catch {
    return null;
  }
};
const tell = (text) => (at("told").textContent = text);
const show = (id) => {
  for (const part of ["welcome", "work", "done"]) at(part).hidden = part !== id;
};
const pause = (time) => new Promise((go) => setTimeout(go, time));

// Asks until there is an answer: what is sent twice counts once.
const ask = async (what, content) => {
  for (;;) {
    try {
      const response = await fetch(what, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(content),
      });
      if (response.ok) return tell(""), await response.json();
      if (response.status < 500) return tell((await response.json()).error ?? "This was not understood."), null;
    } catch {}
    tell("Not kept yet: the server does not answer. Trying again …");
    await pause(PATIENCE);
  }
};

const load = (name) => {
  if (!ahead.has(name)) {
    const picture = new Image();
    picture.src = `pictures/${name}`;
    ahead.set(name, picture.decode().then(() => picture.src));
    ahead.get(name).catch(() => ahead.delete(name));
  }
  return ahead.get(name);
};

// Both pictures enlarged alike, the finer one pixel by pixel, or twice where that is more; of both the same place.
const magnify = () => {
  const rooms = pictures.map(({ parentNode }) => [parentNode.clientWidth, parentNode.clientHeight]);
  const sides = pictures.map(({ naturalWidth, naturalHeight }) => [naturalWidth, naturalHeight]);
  const fits = pictures.map((_, which) => Math.min(...sides[which].map((side, axis) => rooms[which][axis] / side)));
  const times = Math.max(2, ...fits.map((fit) => 1 / devicePixelRatio / fit));
  for (const [which, picture] of pictures.entries()) {
    const shown = sides[which].map((side) => side * fits[which] * times);
    const spare = shown.map((side, axis) => (rooms[which][axis] - side) * (side > rooms[which][axis] ? place[axis] : 0.5));
    picture.style.width = isClose ? `${shown[0]}px` : "";
    picture.style.height = isClose ? `${shown[1]}px` : "";
    picture.style.translate = isClose ? `${spare[0]}px ${spare[1]}px` : "";
  }
};
const lookClosely = async (wanted) => {
  isClose = wanted;
  at("pair").classList.toggle("close", isClose);
  at("closer").setAttribute("aria-pressed", isClose);
  magnify();
  if (!isClose) return;
  const [pair] = state.pairs;
  const sources = await Promise.all([load(`${pair.left}/whole`), load(`${pair.right}/whole`)]).catch(() => null);
  if (!sources || !isClose || state.pairs[0] !== pair) return; // what is there is magnified as it is
  sources.forEach((source, side) => (pictures[side].src = source));
  await Promise.all(pictures.map((picture) => picture.decode().catch(() => {})));
  magnify();
};
const moveTo = (x, y) => {
  place = [x, y].map((share) => Math.min(Math.max(share, 0), 1));
  if (isClose) magnify();
};

const draw = async () => {
  at("bar").max = state.num_questions;
  at("bar").value = state.num_answered;
  at("count").textContent = `${state.num_answered} of ${state.num_questions}`;
  at("leave").textContent = state.annotator;
  at("undo").disabled = at("back").disabled = !state.last;
  at("slider").value = 0;
  at("send").disabled = true;
  at("send").textContent = "Send";
  if (!state.pairs.length) {
    at("total").textContent = `All ${state.num_questions} answers of ${state.annotator} are kept.`;
    return show("done");
  }
  const [pair, ...next] = state.pairs;
  lookClosely(false);
  const wanted = new Set(state.pairs.flatMap(({ left, right }) => [left, right]));
  for (const name of ahead.keys()) if (!wanted.has(name)) ahead.delete(name);
  for (;;) {
    try {
      const sources = await Promise.all([load(pair.left), load(pair.right)]);
      sources.forEach((source, side) => (pictures[side].src = source));
      await Promise.all(pictures.map((picture) => picture.decode()));
      break;
    } catch {
      tell("A picture does not arrive. Trying again …");
      await pause(PATIENCE);
    }
  }
  tell("");
  show("work");
  at("pair").dataset.question = pair.question;
  since = performance.now();
  for (const { left, right } of next) for (const name of [left, right]) load(name).catch(() => {});
};

// Everything that changes the state goes through here, one after the other.
const go = async (what, content) => {
  if (isBusy) return;
  isBusy = true;
  try {
    const told = await ask(what, content);
    if (told) {
      state = told;
      await draw();
    }
    return told;
  } finally {
    isBusy = false;
    delete document.body.dataset.chosen;
  }
};

const answer = (lean) => {
  const looked = performance.now() - since;
  if (isBusy || at("work").hidden || looked < REST) return;
  document.body.dataset.chosen = Math.sign(lean);
  const { annotator, attempt, pairs } = state;
  return go("answer", { annotator, question: pairs[0].question, attempt, lean, seconds: looked / 1000 });
};
const undo = () => {
  if (state?.last && performance.now() - since > REST) return go("undo", { annotator: state.annotator, ...state.last });
};
const begin = async (annotator) => {
  if (await go("look", { annotator })) remember(state.annotator);
  else show("welcome");
};
const leave = () => {
  remember(null);
  state = null;
  tell("");
  at("name").value = "";
  show("welcome");
  at("name").focus();
};

at("welcome").addEventListener("submit", (event) => {
  event.preventDefault();
  begin(at("name").value);
});
for (const [id, lean] of [["left", -100], ["right", 100]]) {
  // who looks closely moves about, and must not answer by that
  at(id).addEventListener("click", () => (isClose ? lookClosely(false) : answer(lean)));
  at(id).addEventListener("pointermove", ({ clientX, clientY }) => {
    const box = at(id).getBoundingClientRect();
    moveTo((clientX - box.left) / box.width, (clientY - box.top) / box.height);
  });
}
at("closer").addEventListener("click", () => lookClosely(!isClose));
addEventListener("resize", magnify);
for (const button of document.querySelectorAll("[data-lean]"))
  button.addEventListener("click", () => answer(Number(button.dataset.lean)));
at("slider").addEventListener("input", () => {
  const lean = Number(at("slider").value);
  at("send").disabled = false;
  at("send").textContent = `Send ${Math.abs(lean)}${lean ? (lean < 0 ? " ◂" : " ▸") : ""}`;
});
at("send").addEventListener("click", () => answer(Number(at("slider").value)));
for (const id of ["undo", "back"]) at(id).addEventListener("click", undo);
for (const id of ["leave", "other"]) at(id).addEventListener("click", leave);

const STEPS = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1] };
const KEYS = { ArrowLeft: -100, ArrowUp: -100, ArrowRight: 100, ArrowDown: 100, 0: 0 };
for (const [place, button] of [...document.querySelectorAll("[data-lean]")].entries())
  KEYS[place + 1] = Number(button.dataset.lean);
document.addEventListener("keydown", (event) => {
  if (event.repeat || event.ctrlKey || event.metaKey || event.altKey || !at("welcome").hidden) return;
  const isSliding = document.activeElement === at("slider");
  if (event.key.toLowerCase() === "z" && !at("work").hidden) return lookClosely(!isClose);
  if (isClose && event.key === "Escape") return lookClosely(false);
  if (isClose && event.shiftKey && event.key in STEPS) {
    event.preventDefault();
    return moveTo(place[0] + STEPS[event.key][0], place[1] + STEPS[event.key][1]);
  }
  if (isSliding && event.key === "Enter") return at("send").click();
  if (event.key === "Backspace") undo();
  else if (event.key in KEYS && !(isSliding && event.key.startsWith("Arrow"))) {
    event.preventDefault();
    answer(KEYS[event.key]);
  }
});

const known = recall();
known ? begin(known) : show("welcome");
