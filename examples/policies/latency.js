#!/usr/bin/env node
// Who answers faster gets more, but nobody changes by more than a half from one answer to the next:
// a backend that everybody runs to is soon the slowest one.
//
//     [policies.latency]
//     run = "node latency.js"
'use strict';

const readline = require('node:readline');

// What each backend of a service was last given.
const before = new Map();

function decide(service, backends) {
  const last = before.get(service) ?? new Map();
  const weights = new Map();
  for (const { id, latency_ms: latency } of backends) {
    // Without a measurement it is taken for an average one.
    const wanted = latency ? 1000 / (1 + latency.p95) : 100;
    const old = last.get(id) ?? wanted;
    const next = Math.min(Math.max(wanted, old / 1.5), old * 1.5);
    weights.set(id, Math.min(1000, Math.max(1, next)));
  }
  before.set(service, weights);
  return Object.fromEntries([...weights].map(([id, weight]) => [id, Math.round(weight)]));
}

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const { id, service, backends } = JSON.parse(line);
  const able = backends.filter((one) => one.healthy && !one.draining);
  process.stdout.write(JSON.stringify({ id, weights: decide(service, able) }) + '\n');
});
