// Charts over time, drawn by uPlot in the colours of the style sheet. What they show stands below them in words and figures as well.

import uPlot from "../vendor/uplot.js";
import { el, say } from "./dom.js";
import { colour, onTheme } from "./theme.js";

const FONT = "11px system-ui, sans-serif";
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

/** A letter's size: charts grow with everything else. */
const em = () => parseFloat(getComputedStyle(document.documentElement).fontSize) / 16;

/**
 * A chart. `series`: `[{ label, key, fill? }]`, where `key` names a colour; `unit`: what is measured; `show(value)`: a figure as text;
 * `about`: what it shows, for who does not see it. `update(times, columns)` takes seconds and a column of values for each series.
 */
export function chart({ series, unit, show, about, floor = 1 }) {
  const plot = el("div", { class: "plot", role: "img", "aria-label": about });
  const now = series.map(() => el("b", {}, "–"));
  const keys = series.map(({ label, key }, n) => el("span", { class: `key k${key}` }, `${label} `, now[n]));
  const element = el("figure", { class: "chart" }, plot, el("figcaption", {}, keys, el("span", {}, unit)));
  let drawn = null;
  let data = [[], ...series.map(() => [])];
  let at = null;

  const tell = () => {
    const last = at ?? data[0].length - 1;
    now.forEach((figure, n) => say(figure, show(data[n + 1][last])));
  };

  const options = () => {
    const [ink, line] = [colour("soft"), colour("line")];
    const size = em();
    const axis = { stroke: ink, font: FONT.replace("11px", `${Math.round(11 * size)}px`), grid: { stroke: line, width: 1 }, ticks: { show: false } };
    return {
      width: Math.max(40, plot.clientWidth), height: Math.max(40, plot.clientHeight),
      padding: [6, 24 * size, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 } },
      scales: { y: { range: (_, low, high) => [Math.min(0, low ?? 0), Math.max(floor, (high ?? 0) * 1.08)] } },
      axes: [
        { ...axis, size: 20 * size, space: 76 * size, grid: { show: false }, values: (_, at) => at.map((one) => new Date(one * 1000).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" })) },
        { ...axis, size: 46 * size, space: 30 * size, values: (_, at) => at.map((one) => (Math.abs(one) >= 100_000 && show(one).length > 7 ? compact.format(one) : show(one))) },
      ],
      series: [{}, ...series.map(({ label, key, fill }) => {
        const stroke = colour(/^\d$/.test(String(key)) ? `c${key}` : key);
        return { label, stroke, width: 1.75, points: { show: false }, spanGaps: false, fill: fill ? stroke.replace("rgb(", "rgba(").replace(")", ", 0.13)") : undefined };
      })],
      hooks: { setCursor: [(of) => { at = of.cursor.idx ?? null; tell(); }] },
    };
  };

  const draw = () => {
    drawn?.destroy();
    drawn = plot.clientWidth > 0 ? new uPlot(options(), data, plot) : null;
  };
  const unheard = onTheme(draw);
  const sized = new ResizeObserver(() => {
    if (!drawn) draw();
    else if (plot.clientWidth > 0) drawn.setSize({ width: plot.clientWidth, height: plot.clientHeight });
  });
  sized.observe(plot);

  return {
    element,
    update(times, columns) {
      data = [times, ...columns];
      if (plot.isConnected && drawn) drawn.setData(data);
      tell();
    },
    destroy() {
      unheard();
      sized.disconnect();
      drawn?.destroy();
    },
  };
}
