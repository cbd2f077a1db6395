// Pure. Between two views of the cluster in one stream of events: a view asks every replica. Apart from the schemas, which those who only
// choose an interval do not need.

export const EVENTS_INTERVAL_MS_MIN = 500;
export const EVENTS_INTERVAL_MS_MAX = 10_000;
export const EVENTS_INTERVAL_MS_DEFAULT = 1_000;
