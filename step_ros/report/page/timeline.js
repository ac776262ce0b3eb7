// The timeline: film, truth, answers with their confidence, stable labels; zoom, and a moment to look at.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("timeline-data").textContent);
  const element = (id) => document.getElementById(id);
  const canvas = element("canvas");
  const context = canvas.getContext("2d");
  const darkScheme = matchMedia("(prefers-color-scheme: dark)");

  const AXIS = 20, FILM = data.film.length ? 62 : 0, NAME = 18, BAND = 20, CURVE = 26, STABLE = 12, GAP = 10;
  const TASK = NAME + BAND + 3 + BAND + CURVE + STABLE + GAP;
  const HEIGHT = AXIS + FILM + data.tasks.length * TASK;
  const LEAST_SPAN = 1; // seconds

  const duration = Math.max(data.duration, 0.001);
  let view = { from: 0, to: duration };
  let selected = 0; // index of an update
  let width = 0;
  const pictures = new Map(); // decoded film frames by index

  // ---- lookup -------------------------------------------------------------------------------------

  // Index of the last value that is at most `value`; 0 if there is none.
  function indexAt(values, value, get = (x) => x) {
    let low = 0, high = values.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (get(values[middle]) <= value) low = middle + 1;
      else high = middle;
    }
    return Math.max(0, low - 1);
  }

  function bandAt(bands, time) {
    if (!bands || !bands.length) return null;
    const band = bands[indexAt(bands, time, (b) => b[0])];
    return band[0] <= time && time < band[1] ? band[2] : null;
  }

  const isWrong = (task, index) => {
    const truth = bandAt(task.truth, data.times[index]);
    return truth !== null && task.top[index].length > 0 && truth !== task.top[index][0];
  };

  // ---- drawing ------------------------------------------------------------------------------------

  // The page's colours, read once a drawing.
  let palette = {};
  function readPalette() {
    const style = getComputedStyle(document.documentElement);
    palette = Object.fromEntries(
      ["text", "muted", "line", "right", "partner", "other", "font"].map((name) => [
        name,
        style.getPropertyValue(`--${name}`).trim(),
      ]),
    );
  }

  function colour(task, label) {
    const hue = task.hues[label];
    const dark = darkScheme.matches;
    if (!hue) return dark ? "#3b4651" : "#d5dbe1";
    const [degrees, shade] = hue;
    const lightness = dark ? (shade ? 52 : 34) : (shade ? 82 : 64);
    return `hsl(${degrees} ${dark ? 50 : 62}% ${lightness}%)`;
  }

  const x = (time) => ((time - view.from) / (view.to - view.from)) * width;
  const timeAt = (pixel) => view.from + (pixel / width) * (view.to - view.from);

  function drawBand(task, from, to, label, top, height, text) {
    const left = Math.max(x(from), 0), right = Math.min(x(to), width);
    if (right <= 0 || left >= width || right - left < 0.2) return;
    context.fillStyle = colour(task, label);
    context.fillRect(left, top, Math.max(right - left - 0.5, 0.5), height);
    if (!text) return;
    context.fillStyle = palette.text;
    const name = task.labels[label];
    if (context.measureText(name).width + 8 < right - left) context.fillText(name, left + 4, top + height / 2);
  }

  function drawAxis() {
    const span = view.to - view.from;
    const steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600];
    const step = steps.find((s) => (s / span) * width > 60) || 1200;
    context.strokeStyle = palette.line;
    context.fillStyle = palette.muted;
    for (let tick = Math.ceil(view.from / step); tick * step <= view.to; tick++) {
      const at = Math.round(x(tick * step)) + 0.5;
      context.beginPath();
      context.moveTo(at, AXIS - 5);
      context.lineTo(at, HEIGHT);
      context.stroke();
      context.fillText(`${+(tick * step).toFixed(1)} s`, at + 3, AXIS / 2);
    }
  }

  function drawFilm() {
    const ratio = 4 / 3, cell = (FILM - 6) * ratio;
    for (let left = 0; left < width; left += cell + 2) {
      const index = indexAt(data.film, timeAt(left + cell / 2), (f) => f.t);
      const picture = pictureOf(index);
      if (picture.complete && picture.naturalWidth) context.drawImage(picture, left, AXIS, cell, FILM - 6);
    }
  }

  function pictureOf(index) {
    if (!pictures.has(index)) {
      const picture = new Image();
      picture.onload = requestDraw;
      picture.src = sourceOf(index);
      pictures.set(index, picture);
    }
    return pictures.get(index);
  }

  const sourceOf = (index) => "data:image/jpeg;base64," + data.film[index].jpeg;

  function drawTask(task, top) {
    const last = data.times.length - 1;
    const first = indexAt(data.times, view.from);
    context.fillStyle = palette.muted;
    context.fillText(`${task.name}: true, said, confidence, stable`, 2, top + NAME / 2);
    let y = top + NAME;
    for (const [from, to, label] of task.truth || []) drawBand(task, from, to, label, y, BAND, true);
    y += BAND + 3;
    for (let i = first; i <= last && data.times[i] <= view.to; ) {
      const label = task.top[i][0];
      let end = i + 1;
      while (end <= last && task.top[end][0] === label && data.times[end] - data.times[end - 1] < 1) end++;
      const next = end <= last ? data.times[end] : duration;
      if (label !== undefined) {  // a task may be silent where others answer
        drawBand(task, data.times[i], Math.min(next, data.times[end - 1] + 1), label, y, BAND, true);
      }
      i = end;
    }
    y += BAND;
    drawConfidence(task, first, y);
    y += CURVE;
    for (const [from, to, label] of task.stable || []) drawBand(task, from, to, label, y, STABLE - 3, false);
  }

  function drawConfidence(task, first, top) {
    for (let i = first; i < data.times.length && data.times[i] <= view.to; i++) {
      const left = x(data.times[i]);
      const next = i + 1 < data.times.length ? x(Math.min(data.times[i + 1], data.times[i] + 1)) : left + 2;
      const height = (task.share[i][0] || 0) * (CURVE - 5);
      const truth = bandAt(task.truth, data.times[i]);
      context.fillStyle = truth === null ? palette.other : truth === task.top[i][0] ? palette.right : palette.partner;
      context.fillRect(left, top + CURVE - 3 - height, Math.max(next - left, 0.6), height);
    }
  }

  function drawSelection() {
    if (!data.times.length) return;
    context.strokeStyle = palette.text;
    context.lineWidth = 1.5;
    const at = Math.round(x(data.times[selected])) + 0.5;
    context.beginPath();
    context.moveTo(at, AXIS - 6);
    context.lineTo(at, HEIGHT);
    context.stroke();
    context.lineWidth = 1;
  }

  function draw() {
    drawRequested = false;
    readPalette();
    const scale = devicePixelRatio || 1;
    width = canvas.clientWidth;
    canvas.style.height = `${HEIGHT}px`;
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(HEIGHT * scale);
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.font = `12px ${palette.font}`;
    context.textBaseline = "middle";
    drawAxis();
    if (FILM) drawFilm();
    data.tasks.forEach((task, index) => drawTask(task, AXIS + FILM + index * TASK));
    drawSelection();
  }

  let drawRequested = false;
  function requestDraw() {
    if (drawRequested) return;
    drawRequested = true;
    requestAnimationFrame(draw);
  }

  // ---- the moment ---------------------------------------------------------------------------------

  function cell(row, text, kind = "") {
    const made = row.insertCell();
    made.textContent = text;
    made.className = kind;
    return made;
  }

  function select(index) {
    if (!data.times.length) return;
    selected = Math.min(Math.max(index, 0), data.times.length - 1);
    const time = data.times[selected];
    element("moment-time").textContent =
      `${time.toFixed(2)} s` + (data.held[selected] ? `, ${data.held[selected]} positions held` : "");
    const body = element("moment-labels").tBodies[0];
    body.replaceChildren();
    const spoken = [];
    for (const task of data.tasks) {
      const row = body.insertRow();
      const head = document.createElement("th");
      head.scope = "row";
      head.textContent = task.name;
      row.append(head);
      const truth = bandAt(task.truth, time), stable = bandAt(task.stable, time);
      cell(row, truth === null ? "–" : task.labels[truth]);
      const list = document.createElement("ol");
      task.top[selected].forEach((label, place) => {
        const item = document.createElement("li");
        item.textContent = `${task.labels[label]} ${Math.round(100 * task.share[selected][place])} %`;
        if (place === 0 && truth !== null) item.className = label === truth ? "right" : "wrong";
        const bar = document.createElement("span");
        bar.className = "bar";
        bar.style.width = `${100 * task.share[selected][place]}%`;
        item.append(bar);
        list.append(item);
      });
      cell(row, "").append(list);
      cell(row, stable === null ? "–" : task.labels[stable]);
      spoken.push(`${task.name} ${task.labels[task.top[selected][0]] || "silent"}`);
    }
    canvas.setAttribute("aria-valuenow", time.toFixed(2));
    canvas.setAttribute("aria-valuetext", `${time.toFixed(2)} seconds: ${spoken.join(", ")}`);
    if (data.film.length) {
      const film = data.film[indexAt(data.film, time + 1e-6, (f) => f.t)];
      element("frame").src = "data:image/jpeg;base64," + film.jpeg;
      element("frame").alt = `The camera's view at ${film.t.toFixed(2)} seconds`;
      element("frame-caption").textContent = `frame at ${film.t.toFixed(2)} s`;
    }
    if (time < view.from || time > view.to) moveTo(time - (view.to - view.from) / 2);
    requestDraw();
  }

  function selectMistake(direction) {
    const task = data.tasks[element("mistake-task").value];
    // From one stretch of mistakes to the next, not from update to update within one.
    for (let i = selected + direction; i >= 0 && i < data.times.length; i += direction) {
      if (isWrong(task, i) && !(i > 0 && isWrong(task, i - 1))) return select(i);
    }
  }

  // ---- zoom and pan -------------------------------------------------------------------------------

  function show(from, to) {
    const span = Math.min(Math.max(to - from, Math.min(LEAST_SPAN, duration)), duration);
    const start = Math.min(Math.max(from, 0), duration - span);
    view = { from: start, to: start + span };
    requestDraw();
  }

  const moveTo = (from) => show(from, from + (view.to - view.from));

  function zoom(factor, around) {
    const span = (view.to - view.from) * factor;
    const share = (around - view.from) / (view.to - view.from);
    show(around - share * span, around + (1 - share) * span);
  }

  const zoomAroundSelection = (factor) => {
    const time = data.times.length ? data.times[selected] : 0;
    zoom(factor, time >= view.from && time <= view.to ? time : (view.from + view.to) / 2);
  };

  // ---- what people do -----------------------------------------------------------------------------

  let dragging = null;
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    dragging = { x: event.offsetX, from: view.from, moves: event.shiftKey || event.button === 1 };
    if (!dragging.moves) select(indexAt(data.times, timeAt(event.offsetX)));
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!dragging) return;
    if (dragging.moves) moveTo(dragging.from - ((event.offsetX - dragging.x) / width) * (view.to - view.from));
    else select(indexAt(data.times, timeAt(event.offsetX)));
  });
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => (dragging = null));
  canvas.addEventListener("dblclick", (event) => zoom(0.4, timeAt(event.offsetX)));
  canvas.addEventListener(
    "wheel",
    (event) => {
      // Without Ctrl the wheel scrolls the page, as everywhere; a pinch comes as a wheel with Ctrl.
      if (event.ctrlKey || event.metaKey) {
        event.preventDefault();
        zoom(Math.exp(event.deltaY * 0.003), timeAt(event.offsetX));
      } else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
        event.preventDefault();
        moveTo(view.from + ((event.deltaX || event.deltaY) / width) * (view.to - view.from));
      }
    },
    { passive: false },
  );
  const keys = {
    ArrowLeft: (event) => select(event.shiftKey ? indexAt(data.times, data.times[selected] - 1) : selected - 1),
    ArrowRight: (event) => select(event.shiftKey ? indexAt(data.times, data.times[selected] + 1) : selected + 1),
    Home: () => select(0),
    End: () => select(data.times.length - 1),
    "+": () => zoomAroundSelection(0.6),
    "=": () => zoomAroundSelection(0.6),
    "-": () => zoomAroundSelection(1 / 0.6),
    0: () => show(0, duration),
    n: () => selectMistake(1),
    p: () => selectMistake(-1),
  };
  canvas.addEventListener("keydown", (event) => {
    const action = keys[event.key];
    if (!action || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    action(event);
  });
  element("zoom-in").addEventListener("click", () => zoomAroundSelection(0.6));
  element("zoom-out").addEventListener("click", () => zoomAroundSelection(1 / 0.6));
  element("zoom-all").addEventListener("click", () => show(0, duration));
  element("next-mistake").addEventListener("click", () => selectMistake(1));
  element("previous-mistake").addEventListener("click", () => selectMistake(-1));

  data.tasks.forEach((task, index) => {
    if (task.truth) element("mistake-task").append(new Option(task.name, index));
  });
  if (!element("mistake-task").options.length) {
    for (const id of ["next-mistake", "previous-mistake"]) element(id).disabled = true;
  }
  canvas.setAttribute("aria-valuemax", duration.toFixed(2));
  element("player").hidden = false;
  document.documentElement.classList.add("scripted");
  new ResizeObserver(requestDraw).observe(canvas.parentElement);
  darkScheme.addEventListener("change", requestDraw);
  select(0);
  draw();
})();
