/**
 * What came and went over the last two minutes: sources stacked above the line, what was given below it.
 */
import uPlot, { type AlignedData, type Options } from "uplot";
import type { Stats } from "headwater";
import { colours, onColours } from "../colours.js";
import { element } from "../dom.js";
import type { Film, View } from "../film.js";
import * as format from "../format.js";
import type { Ledger } from "../ledger.js";

/** Two minutes of two samples a second. */
const SAMPLES = 240;
const SPAN_S = 120;

interface Sample {
  atS: number;
  viewers: number;
  seeders: number;
  origin: number;
  given: number;
}

/** The chart. */
export class Chart implements View {
  readonly #place = element("chart", HTMLElement);
  readonly #ledger: Ledger;
  readonly #samples: Sample[] = [];
  #plot: uPlot | null = null;

  constructor(ledger: Ledger) {
    this.#ledger = ledger;
    onColours(() => this.#remake());
    new ResizeObserver(() => this.#plot?.setSize(this.#size())).observe(this.#place);
    this.#remake();
  }

  update(_film: Film, stats: Stats): void {
    const { viewers, seeders, origin } = this.#ledger.rate;
    this.#samples.push({ atS: performance.now() / 1000, viewers, seeders, origin, given: stats.sendRate });
    if (this.#samples.length > SAMPLES) this.#samples.shift();
    this.#plot?.setData(this.#data());
    const said = `From viewers ${format.rate(viewers)}, from seeders ${format.rate(seeders)}, from the origin ${format.rate(origin)}, given ${format.rate(stats.sendRate)}`;
    this.#place.setAttribute("aria-label", said);
  }

  close(): void {
    this.#samples.length = 0;
    this.#plot?.setData(this.#data());
    this.#place.setAttribute("aria-label", "Nothing has been transferred yet");
  }

  #remake(): void {
    this.#plot?.destroy();
    this.#plot = new uPlot({ ...this.#options(), ...this.#size() }, this.#data(), this.#place);
  }

  #size(): { width: number; height: number } {
    return { width: Math.max(200, this.#place.clientWidth), height: Math.max(160, this.#place.clientHeight) };
  }

  /** Each series is the sum of itself and those below it; painted from the largest to the smallest. */
  #data(): AlignedData {
    const of = (value: (sample: Sample) => number): number[] => this.#samples.map(value);
    return [
      of(({ atS }) => atS),
      of(({ viewers, seeders, origin }) => viewers + seeders + origin),
      of(({ seeders, origin }) => seeders + origin),
      of(({ origin }) => origin),
      of(({ given }) => -given),
    ];
  }

  /** How far the axis goes: a burst that fills the window at once is cut off, or all else would be flat. */
  #reach(value: (sample: Sample) => number): number {
    const rates = this.#samples.map(value).filter((rate) => rate > 0).sort((a, b) => a - b);
    const [usual = 0, most = 0] = [rates[Math.floor(rates.length * 0.9)], rates.at(-1)];
    return Math.max(MIN_RATE, 1.1 * Math.min(most, 2 * usual));
  }

  #options(): Omit<Options, "height" | "width"> {
    const palette = colours();
    const area = (colour: string): uPlot.Series => ({ stroke: colour, fill: colour, width: 1, points: { show: false } });
    const axis: uPlot.Axis = { stroke: palette["ink-soft"], font: "12px system-ui, sans-serif", grid: { stroke: palette.line, width: 1 }, ticks: { show: false } };
    return {
      cursor: { show: false },
      legend: { show: false },
      padding: [8, 20, 0, 0],
      scales: {
        x: { time: false, range: (_plot, _min, max) => [(max ?? 0) - SPAN_S, max ?? 0] },
        y: { range: () => [-this.#reach(({ given }) => given), this.#reach(({ viewers, seeders, origin }) => viewers + seeders + origin)] },
      },
      series: [{}, area(palette.peer), area(palette.seeder), area(palette.origin), area(palette.upload)],
      axes: [
        { ...axis, splits: (plot) => MARKS_S.map((before) => (plot.scales["x"]?.max ?? 0) - before), values: () => MARKS_S.map(ago) },
        { ...axis, size: 76, incrs: POWERS, values: (_plot, splits) => splits.map((rate) => (rate === 0 ? "0" : format.rate(Math.abs(rate)))) },
      ],
    };
  }
}

/** So that silence is a flat line, not a magnified one: 64 KiB a second. */
const MIN_RATE = 64 * 1024;

/** Rates are told in powers of two. */
const POWERS = Array.from({ length: 30 }, (_, power) => 1024 * 2 ** power);

const MARKS_S = [90, 60, 30, 0];

function ago(seconds: number): string {
  return seconds < 1 ? "now" : `−${Math.round(seconds)} s`;
}
