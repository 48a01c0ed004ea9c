// Painting a mask over a picture: what is painted is repainted by the workflow.

import { html, useEffect, useRef, useState } from "../lib.js";
import { Dialog } from "../parts/dialog.js";
import { Icon } from "../parts/icons.js";

const BRUSH = 8; // per cent of the picture's longer side
const MOST = 40;
const MOVE = 2; // per cent that an arrow key moves the brush
const PAINT = "#fff";

/** @typedef {{ x: number, y: number }} Point in the picture's pixels */
/** @typedef {{ points: Point[], width: number, isErasing: boolean }} Stroke */

/** @param {{ picture: string, close: () => void, done: (mask: Blob) => void }} props */
export function MaskPainter({ picture, close, done }) {
  const canvas = useRef(/** @type {HTMLCanvasElement | null} */ (null));
  const drawn = useRef(/** @type {Stroke | null} */ (null)); // by the pointer, at the moment
  const spot = useRef(/** @type {Point} */ ({ x: 0, y: 0 }));
  const strokes = useRef(/** @type {Stroke[]} */ ([])); // not pictures: one of those has many megabytes
  const [percent, setPercent] = useState(BRUSH);
  const [isErasing, setErasing] = useState(false);
  const [count, setCount] = useState(0);

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

  /** @param {PointerEvent} event @returns {Point} */
  const pointOf = (event) => {
    const made = /** @type {HTMLCanvasElement} */ (canvas.current);
    const box = made.getBoundingClientRect();
    return {
      x: ((event.clientX - box.left) / box.width) * made.width,
      y: ((event.clientY - box.top) / box.height) * made.height,
    };
  };

  /** @param {Point[]} points */
  const begin = (points) => {
    const made = canvas.current;
    if (!made) return null;
    const width = (Math.max(made.width, made.height) * percent) / 100;
    const stroke = { points, width, isErasing };
    strokes.current.push(stroke);
    setCount(strokes.current.length);
    draw(made, stroke);
    return stroke;
  };

  /** @param {Point} to */
  const goOn = (to) => {
    const [made, stroke] = [canvas.current, drawn.current];
    if (!made || !stroke) return;
    const from = stroke.points.at(-1) ?? to;
    stroke.points.push(to);
    line(made, stroke, from, to);
  };

  const undo = () => {
    const made = canvas.current;
    strokes.current.pop();
    setCount(strokes.current.length);
    if (!made) return;
    made.getContext("2d")?.clearRect(0, 0, made.width, made.height);
    for (const stroke of strokes.current) draw(made, stroke);
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
    begin([start, spot.current]);
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
          drawn.current = begin([pointOf(event)]);
        }}
        onPointerMove=${(/** @type {PointerEvent} */ event) => goOn(pointOf(event))}
        onLostPointerCapture=${() => {
          drawn.current = null; // released, or taken by the browser
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
      <button type="button" class="plain" disabled=${count === 0} onClick=${undo}><${Icon} name="undo" /> Undo</button>
      <span class="grow"></span>
      <button type="button" class="primary" disabled=${count === 0} onClick=${finish}>Use this mask</button>
    </div>
  <//>`;
}

/**
 * Draw a stroke line by line, as it was painted: drawn as one path its edges would be others.
 * @param {HTMLCanvasElement} canvas
 * @param {Stroke} stroke
 */
function draw(canvas, stroke) {
  const { points } = stroke;
  points.forEach((point, n) => line(canvas, stroke, points[n - 1] ?? point, point));
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {Stroke} stroke
 * @param {Point} from
 * @param {Point} to
 */
function line(canvas, { width, isErasing }, from, to) {
  const drawing = canvas.getContext("2d");
  if (!drawing) return;
  drawing.globalCompositeOperation = isErasing ? "destination-out" : "source-over";
  drawing.strokeStyle = PAINT;
  drawing.lineCap = "round";
  drawing.lineWidth = width;
  drawing.beginPath();
  drawing.moveTo(from.x, from.y);
  drawing.lineTo(to.x, to.y);
  drawing.stroke();
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
