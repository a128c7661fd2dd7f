"use strict";

// Lets a box be drawn on a canvas by mouse or finger. `changed` gets x, y, w, h in pixels of the
// picture, rounded to tenths.
function boxDrawer(canvas, changed) {
  const drawer = { image: null, box: null };
  let start = null;

  drawer.show = (image, width, height, box) => {
    drawer.image = image;
    drawer.box = box;
    canvas.width = width;
    canvas.height = height;
    drawer.draw();
  };

  drawer.draw = () => {
    const context = canvas.getContext("2d");
    context.drawImage(drawer.image, 0, 0, canvas.width, canvas.height);
    if (!drawer.box) return;
    context.lineWidth = Math.max(2, Math.min(canvas.width, canvas.height) / 120);
    context.strokeStyle = "#28dc5a";
    context.strokeRect(...drawer.box);
  };

  const place = (event) => {
    const shown = canvas.getBoundingClientRect();
    return [
      ((event.clientX - shown.left) * canvas.width) / shown.width,
      ((event.clientY - shown.top) * canvas.height) / shown.height,
    ];
  };

  canvas.addEventListener("pointerdown", (event) => {
    if (!drawer.image) return;
    start = place(event);
    if (event.isTrusted) canvas.setPointerCapture(event.pointerId);  // a test's is no pointer
    event.preventDefault();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!start) return;
    const end = place(event);
    const tenth = (value) => Math.round(10 * value) / 10;
    drawer.box = [
      Math.min(start[0], end[0]), Math.min(start[1], end[1]),
      Math.abs(end[0] - start[0]), Math.abs(end[1] - start[1]),
    ].map(tenth);
    drawer.draw();
    changed(drawer.box);
  });
  canvas.addEventListener("pointerup", () => { start = null; });
  return drawer;
}

function loadImage(address) {
  return new Promise((resolve, reject) => {
    const image = new Image();
    image.onload = () => resolve(image);
    image.onerror = () => reject(new Error("the picture could not be loaded"));
    image.src = address;
  });
}

async function ask(address, options) {
  const response = await fetch(address, options);
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error);
  return answer;
}
