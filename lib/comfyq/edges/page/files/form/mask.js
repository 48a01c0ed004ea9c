// Painting a mask over a picture: what is painted is repainted by the workflow.

import { html, useEffect, useRef, useState } from "../lib.js";
import { Dialog } from "../parts/dialog.js";
import { Icon } from "../parts/icons.js";

const BRUSH = 8; // per cent of the picture's longer side
const MOST = 40;
const MOVE = 2; // per cent that an arrow key moves the brush
const PAINT = "#fff";

/** @typedef {{ x: number, y: number }} Point in the picture's pixels */

/** @param {{ picture: string, close: () => void, done: (mask: Blob) => void }} props */
export function MaskPainter({ picture, close, done }) {
  const canvas = useRef(/** @type {HTMLCanvasElement | null} */ (null));
  const from = useRef(/** @type {Point | null} */ (null));
  const spot = useRef(/** @type {Point} */ ({ x: 0, y: 0 }));
  const steps = useRef(/** @type {ImageData[]} */ ([]));
  const [percent, setPercent] = useState(BRUSH);
  const [isErasing, setErasing] = useState(false);
  const [isEmpty, setEmpty] = useState(true);

  useEffect(() => {
    const image = new Image();
    image.onload = () => {
      const made = canvas.current;
      if (!made) return;
      made.width = image.naturalWidth;
      made.height = image.naturalHeight;
      spot.current = { x: made.width / 2, y: made.height / 2 };
    };
    image.src = picture;
  }, [picture]);

  const pen = () => canvas.current?.getContext("2d", { willReadFrequently: true }) ?? null;

  /** @param {PointerEvent} event @returns {Point} */
  const pointOf = (event) => {
    const made = /** @type {HTMLCanvasElement} */ (canvas.current);
    const box = made.getBoundingClientRect();
    return {
      x: ((event.clientX - box.left) / box.width) * made.width,
      y: ((event.clientY - box.top) / box.height) * made.height,
    };
  };

  /** @param {Point} to @param {Point} [start] */
  const stroke = (to, start = to) => {
    const drawing = pen();
    if (!drawing) return;
    drawing.globalCompositeOperation = isErasing ? "destination-out" : "source-over";
    drawing.strokeStyle = PAINT;
    drawing.lineCap = "round";
    drawing.lineWidth = (Math.max(drawing.canvas.width, drawing.canvas.height) * percent) / 100;
    drawing.beginPath();
    drawing.moveTo(start.x, start.y);
    drawing.lineTo(to.x, to.y);
    drawing.stroke();
    setEmpty(false);
  };

  const keep = () => {
    const drawing = pen();
    if (drawing) steps.current.push(drawing.getImageData(0, 0, drawing.canvas.width, drawing.canvas.height));
  };

  const undo = () => {
    const step = steps.current.pop();
    if (step) pen()?.putImageData(step, 0, 0);
    setEmpty(steps.current.length === 0);
  };

  /** @param {KeyboardEvent} event */
  const byKey = (event) => {
    const made = canvas.current;
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1], " ": [0, 0] };
    const move = moves[/** @type {keyof typeof moves} */ (event.key)];
    if (!made || !move) return;
    event.preventDefault();
    const start = spot.current;
    const [dx = 0, dy = 0] = move;
    const length = (Math.max(made.width, made.height) * MOVE) / 100;
    spot.current = {
      x: Math.min(made.width, Math.max(0, start.x + dx * length)),
      y: Math.min(made.height, Math.max(0, start.y + dy * length)),
    };
    keep();
    stroke(spot.current, start);
  };

  const finish = () => {
    const made = canvas.current;
    if (!made) return;
    onBlack(made).toBlob((mask) => {
      if (mask) done(mask);
      close();
    }, "image/png");
  };

  return html`<${Dialog} title="Paint the mask" wide close=${close}>
    <p class="quiet">White is repainted. With the keyboard: arrow keys paint from the middle, space sets a dot.</p>
    <div class="easel">
      <img src=${picture} alt="The picture below the mask" />
      <canvas
        ref=${canvas}
        tabindex="0"
        role="img"
        aria-label="Mask"
        onPointerDown=${(/** @type {PointerEvent} */ event) => {
          event.preventDefault();
          canvas.current?.setPointerCapture(event.pointerId);
          keep();
          from.current = pointOf(event);
          stroke(from.current);
        }}
        onPointerMove=${(/** @type {PointerEvent} */ event) => {
          if (!from.current) return;
          const to = pointOf(event);
          stroke(to, from.current);
          from.current = to;
        }}
        onPointerUp=${() => {
          from.current = null;
        }}
        onKeyDown=${byKey}
      ></canvas>
    </div>
    <div class="row wrap">
      <label class="inline">
        Brush
        <input type="range" min="1" max=${MOST} value=${percent} onInput=${(/** @type {Event} */ event) => setPercent(Number(/** @type {HTMLInputElement} */ (event.target).value))} />
      </label>
      <button type="button" class="chip" aria-pressed=${isErasing} onClick=${() => setErasing(!isErasing)}>Erase</button>
      <button type="button" class="plain" onClick=${undo}><${Icon} name="undo" /> Undo</button>
      <span class="grow"></span>
      <button type="button" class="primary" disabled=${isEmpty} onClick=${finish}>Use this mask</button>
    </div>
  <//>`;
}

/** @param {HTMLCanvasElement} painted */
function onBlack(painted) {
  const whole = document.createElement("canvas");
  whole.width = painted.width;
  whole.height = painted.height;
  const drawing = /** @type {CanvasRenderingContext2D} */ (whole.getContext("2d"));
  drawing.fillStyle = "#000";
  drawing.fillRect(0, 0, whole.width, whole.height);
  drawing.drawImage(painted, 0, 0);
  return whole;
}
