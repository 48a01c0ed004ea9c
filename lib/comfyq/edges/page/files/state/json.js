// JSON whose whole numbers stay exact: seeds go up to 2^64, JavaScript's numbers to 2^53. Beyond them
// they are BigInts here.

const MARK = "\0"; // which no text has that the API takes
const LONG = /\d{16}/;

/** @param {string} text */
export const parsed = (text) => (LONG.test(text) ? JSON.parse(text, exact) : JSON.parse(text));

/** @param {unknown} value */
export function written(value) {
  const text = JSON.stringify(value, (_name, each) => (typeof each === "bigint" ? MARK + each : each));
  return text?.replace(/"\\u0000(-?\d+)"/g, "$1");
}

/**
 * A whole number that somebody typed.
 * @param {string} digits
 */
export function wholeOf(digits) {
  const number = Number(digits);
  return Number.isSafeInteger(number) ? number : BigInt(digits);
}

/**
 * @param {string} _name
 * @param {unknown} value
 * @param {{ source?: string }} [context] what older browsers do not tell
 */
function exact(_name, value, context) {
  if (!Number.isInteger(value) || Number.isSafeInteger(value)) return value;
  return /^-?\d+$/.test(context?.source ?? "") ? BigInt(context?.source ?? "") : value;
}
