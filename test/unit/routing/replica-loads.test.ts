import { expect, test } from "vitest";
import { LATENCY_VALID_MS, ReplicaLoads } from "../../../routing/replica-loads.ts";

test("counts what is in flight, never below nothing", () => {
  const loads = new ReplicaLoads();
  loads.begin("a");
  loads.begin("a");
  expect(loads.inFlight("a")).toBe(2);
  loads.end("a", 0, 5);
  loads.end("a", 0);
  loads.end("a", 0);
  expect(loads.inFlight("a")).toBe(0);
  expect(loads.inFlight("b")).toBe(0);
});

test("starts at the first latency and moves a fifth of the way with each new one", () => {
  const loads = new ReplicaLoads();
  expect(loads.latencyMs("a", 0)).toBeUndefined();
  loads.end("a", 0, 10);
  expect(loads.latencyMs("a", 0)).toBe(10);
  loads.end("a", 0, 20);
  expect(loads.latencyMs("a", 0)).toBe(12);
});

test("an unanswered request says nothing about latency", () => {
  const loads = new ReplicaLoads();
  loads.end("a", 0, 10);
  loads.end("a", LATENCY_VALID_MS);
  expect(loads.latencyMs("a", LATENCY_VALID_MS)).toBe(10);
  expect(loads.latencyMs("a", LATENCY_VALID_MS + 1)).toBeUndefined();
});

test("after a pause the old average does not weigh on the new measurement", () => {
  const loads = new ReplicaLoads();
  loads.end("a", 0, 1_000);
  loads.end("a", LATENCY_VALID_MS + 1, 10);
  expect(loads.latencyMs("a", LATENCY_VALID_MS + 1)).toBe(10);
});

test("forgets the replicas that a new topology does not have", () => {
  const loads = new ReplicaLoads();
  loads.begin("old");
  loads.begin("kept");
  loads.retain(new Set(["kept"]));
  expect(loads.inFlight("old")).toBe(0);
  expect(loads.inFlight("kept")).toBe(1);
});
