/** A peer in a frame of the demo page: whole, with an engine of its own, and without a screen. */
import { lie } from "./liar.js";
import { readOrder } from "./orders.js";
import { view } from "./viewer.js";

const order = readOrder(location.hash);
switch (order.kind) {
  case "liar": void lie(order); break;
  case "slow":
  case "viewer": void view(order); break;
  default: order satisfies never;
}
