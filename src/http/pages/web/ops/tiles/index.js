// All tiles, in the order they stand in. A tile is one file:
//
//   { name, title, needs, wide?, build(), troubles?(data, all) }
//
// `needs` names the part of the overview that it shows; where the server sends none it is not there. `build()` gives `{ body, update(data, all) }`
// and may give `note(data)`, a few words beside the title. `troubles` gives what is wrong: `[{ level, what, todo, see?, href?, first? }]`: `level` is "bad"
// or "warn"; the higher `first`, the sooner it is to be looked at, since others follow from it; `see` is an alarm, by its
// heading in docs/operations.md.

import actors from "./actors.js";
import checkpoint from "./checkpoint.js";
import commands from "./commands.js";
import database from "./database.js";
import followers from "./followers.js";
import hot from "./hot.js";
import jobs from "./jobs.js";
import latency from "./latency.js";
import logWriter from "./log-writer.js";
import mailboxes from "./mailboxes.js";
import node from "./node.js";
import orders from "./orders.js";
import payments from "./payments.js";
import requests from "./requests.js";
import sheds from "./sheds.js";

export const tiles = [
  hot, requests, sheds, orders, payments, commands, latency, actors, mailboxes, logWriter, checkpoint, jobs, followers, database, node,
];
