"use strict";

const at = (id) => document.getElementById(id);
const GREEN = "#28dc5a", GREY = "#999";
let video = null, run = null, lanes = [], pictures = [], playing = true;

const drawer = boxDrawer(at("draw"), (box) => {
  at("box").textContent = box.join(", ");
  at("start").disabled = box[2] < 2 || box[3] < 2;
});

function say(text) { at("said").textContent = text; }

async function attempt(action) {
  try { say(""); await action(); } catch (error) { say(error.message); }
}

async function choices() {
  const { trackers, rules, most } = await ask("choices");
  at("tracker").append(...Object.keys(trackers).map((name) => new Option(name, name)));
  at("tracker").value = "dimp";
  for (const rule of rules) {
    const label = document.createElement("label"), box = document.createElement("input");
    box.type = "checkbox";
    box.value = rule;
    label.append(box, rule);
    at("rules").append(label);
  }
  const preset = () => {
    const wanted = [trackers[at("tracker").value], "gradient_descent"];
    for (const box of at("rules").querySelectorAll("input")) box.checked = wanted.includes(box.value);
  };
  at("tracker").onchange = preset;
  at("rules").onchange = (event) => { if (chosen().length > most) event.target.checked = false; };
  preset();
}

function chosen() {
  return [...at("rules").querySelectorAll("input:checked")].map((box) => box.value);
}

async function take(found) {
  video = found;
  const image = await loadImage(`videos/${video.id}/first.jpg`);
  at("setup").hidden = false;
  drawer.show(image, video.width, video.height, video.box || null);
  at("box").textContent = video.box ? video.box.join(", ") : "none yet";
  at("start").disabled = !video.box;
}

async function upload(file) {
  say(`reading ${file.name} ...`);
  await take(await ask(`videos?name=${encodeURIComponent(file.name)}`, { method: "POST", body: file }));
  say("");
}

async function start() {
  const asked = { video: video.id, box: drawer.box, tracker: at("tracker").value, rules: chosen() };
  const { id } = await ask("runs", { method: "POST", body: JSON.stringify(asked) });
  run = id;
  lanes = asked.rules.map((rule) => makeLane(rule));
  pictures = [];
  at("lanes").replaceChildren(...lanes.map((lane) => lane.element));
  at("shown").hidden = false;
  at("frame").max = at("frame").value = 0;
  at("stop").disabled = false;
  playing = true;
  say("loading and compiling: the first frames take a while ...");
  follow(id);
}

function makeLane(rule) {
  const element = document.createElement("article");
  element.className = "lane";
  element.innerHTML = `<h2></h2><canvas class="view"></canvas><p class="now"></p>
    <p>Score by frame</p><canvas class="plot scores"></canvas>
    <p>Inner loss by step, in the first frame</p><canvas class="plot losses"></canvas>
    <p>Results: <a class="csv">CSV</a> <a class="json">JSON</a></p>`;
  element.querySelector("h2").textContent = rule;
  for (const kind of ["csv", "json"])
    element.querySelector(`.${kind}`).href = `runs/${run}/${rule}.${kind}`;
  return { element, rule, boxes: [], scores: [], present: [], seconds: [], losses: [], error: "" };
}

async function follow(id) {
  while (run === id) {
    const state = await ask(`runs/${id}?from=${lanes[0].boxes.length}`).catch((error) => {
      say(error.message);
      return null;
    });
    if (!state || run !== id) return;
    state.lanes.forEach((found, index) => {
      const lane = lanes[index];
      for (const name of ["boxes", "scores", "present", "seconds"]) lane[name].push(...found[name]);
      lane.losses = found.losses;
      lane.error = found.error;
    });
    const frames = Math.min(state.frames, ...lanes.filter((l) => !l.error).map((l) => l.boxes.length));
    if (frames > 0 && Number.isFinite(frames)) {
      say("");
      at("frame").max = frames - 1;
      if (playing) at("frame").value = frames - 1;
    }
    await show();
    if (state.ended) { at("stop").disabled = true; document.body.dataset.ended = id; return; }
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}

async function show() {
  const index = Number(at("frame").value);
  at("number").textContent = `frame ${index}`;
  let image = null;
  if (lanes.some((lane) => lane.boxes.length > index)) {
    pictures[index] ??= loadImage(`runs/${run}/frames/${index}.jpg`);
    image = await pictures[index].catch(() => { delete pictures[index]; return null; });
  }
  for (const lane of lanes) draw(lane, index, image);
}

function draw(lane, index, image) {
  const view = lane.element.querySelector(".view"), said = lane.element.querySelector(".now");
  if (lane.error) { said.textContent = lane.error; return; }
  if (!image || lane.boxes.length <= index) return;
  view.width = video.width;
  view.height = video.height;
  const context = view.getContext("2d"), box = lane.boxes[index];
  context.drawImage(image, 0, 0, view.width, view.height);
  context.lineWidth = Math.max(2, Math.min(view.width, view.height) / 120);
  context.strokeStyle = lane.present[index] ? GREEN : GREY;
  if (box.every((value) => value !== null)) context.strokeRect(...box);
  const times = lane.seconds.slice(2);  // without those that compile
  const mean = times.reduce((sum, value) => sum + value, 0) / Math.max(1, times.length);
  const score = lane.scores[index] === null ? "no number" : lane.scores[index].toFixed(2);
  said.textContent = `score ${score}${lane.present[index] ? "" : ", absent"}`
    + (times.length ? `, ${(1000 * mean).toFixed(0)} ms a frame` : "");
  plot(lane.element.querySelector(".scores"), lane.scores, index);
  plot(lane.element.querySelector(".losses"), lane.losses, null);
}

function plot(canvas, values, marked) {
  const width = canvas.width = 300, height = canvas.height = 80, pad = 6;
  const numbers = values.filter((value) => value !== null);
  if (!numbers.length) return;
  const context = canvas.getContext("2d");
  const low = Math.min(0, ...numbers), high = Math.max(...numbers, low + 1e-9);
  const x = (i) => pad + (i * (width - 2 * pad)) / Math.max(1, values.length - 1);
  const y = (value) => height - pad - ((value - low) * (height - 2 * pad)) / (high - low);
  context.strokeStyle = "#1a9e45";
  context.lineWidth = 2;
  context.beginPath();
  values.forEach((value, i) => { if (value !== null) context.lineTo(x(i), y(value)); });
  context.stroke();
  context.fillStyle = "#888";
  context.font = "11px sans-serif";
  context.fillText(high.toPrecision(2), pad, 12);
  if (marked !== null) context.fillRect(x(marked) - 1, 0, 2, height);
}

at("file").onchange = () => attempt(() => upload(at("file").files[0]));
at("sample").onclick = () => attempt(async () => take(await ask("sample", { method: "POST" })));
at("start").onclick = () => attempt(start);
at("stop").onclick = () => attempt(() => ask(`runs/${run}/stop`, { method: "POST" }));
at("frame").oninput = () => { playing = false; at("play").textContent = "Play"; show(); };
at("play").onclick = () => {
  playing = !playing;
  at("play").textContent = playing ? "Pause" : "Play";
  if (playing) replay();
};

async function replay() {
  const range = at("frame");
  if (range.value === range.max) range.value = 0;
  while (playing && Number(range.value) < Number(range.max)) {
    range.value = Number(range.value) + 1;
    await show();
    await new Promise((resolve) => setTimeout(resolve, 40));
  }
  playing = false;
  at("play").textContent = "Play";
}

at("drop").ondragover = (event) => { event.preventDefault(); at("drop").classList.add("over"); };
at("drop").ondragleave = () => at("drop").classList.remove("over");
at("drop").ondrop = (event) => {
  event.preventDefault();
  at("drop").classList.remove("over");
  if (event.dataTransfer.files.length) attempt(() => upload(event.dataTransfer.files[0]));
};
attempt(choices);
