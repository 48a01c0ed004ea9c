// Habits that views share.

import { useEffect, useRef, useState } from "../lib.js";
import { Failure, reachable } from "../state/request.js";

/**
 * Load something when `keys` change and when the server is back; `load` again by calling `reload`.
 * What was loaded stays meanwhile, unless the first of the keys is another.
 * @template T
 * @param {() => Promise<T>} load
 * @param {unknown[]} keys
 */
export function useLoaded(load, keys) {
  const [state, setState] = useState(
    /** @type {{ value: T | null, failure: Failure | null }} */ ({ value: null, failure: null }),
  );
  const round = useRef(0);
  const subject = useRef(keys[0]);
  const reload = async () => {
    const mine = ++round.current;
    try {
      const value = await load();
      if (mine === round.current) setState({ value, failure: null });
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      if (mine === round.current) setState((old) => ({ value: old.value, failure: error }));
    }
  };
  const isBack = reachable.value;
  useEffect(() => {
    if (subject.current !== keys[0]) setState({ value: null, failure: null });
    subject.current = keys[0];
    void reload();
    return () => {
      round.current++;
    };
  }, keys);
  useEffect(() => {
    if (isBack && state.failure?.status === 0) void reload();
  }, [isBack]);
  return { ...state, reload };
}

/**
 * Call `look` every `period_ms` while the page is seen.
 * @param {() => unknown} look
 * @param {number} period_ms
 */
export function usePolled(look, period_ms) {
  const newest = useRef(look);
  newest.current = look;
  useEffect(() => {
    const timer = setInterval(() => {
      if (!document.hidden) newest.current();
    }, period_ms);
    return () => clearInterval(timer);
  }, [period_ms]);
}

/** @param {string} title */
export function useTitle(title) {
  useEffect(() => {
    document.title = `${title} · comfyq`;
  }, [title]);
}
