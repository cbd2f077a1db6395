// Pure. A coarse map of the regions, to guess which replica is near before any latency has been measured: the great
// circle between one well-connected city per region, at the speed of light in fibre with a detour.

import { REGIONS, type Region } from "./region.ts";

interface Coordinates {
  /** Degrees, north and east positive. */
  readonly latitude: number;
  readonly longitude: number;
}

const CENTRES: Readonly<Record<Region, Coordinates>> = {
  wnam: { latitude: 37.4, longitude: -121.9 }, // San José
  enam: { latitude: 39.0, longitude: -77.5 }, // Ashburn
  sam: { latitude: -23.5, longitude: -46.6 }, // São Paulo
  weur: { latitude: 50.1, longitude: 4.9 }, // between London and Frankfurt
  eeur: { latitude: 52.2, longitude: 21.0 }, // Warsaw
  apac: { latitude: 22.3, longitude: 114.2 }, // Hong Kong
  "apac-ne": { latitude: 35.7, longitude: 139.7 }, // Tokyo
  "apac-se": { latitude: 1.35, longitude: 103.8 }, // Singapore
  oc: { latitude: -33.9, longitude: 151.2 }, // Sydney
  afr: { latitude: -26.2, longitude: 28.0 }, // Johannesburg
  me: { latitude: 25.2, longitude: 55.3 }, // Dubai
};

/** Where `request.cf` has no coordinates it usually has the continent. */
const CONTINENT_REGIONS: Readonly<Record<string, Region>> = {
  AF: "afr",
  AS: "apac",
  EU: "weur",
  NA: "enam",
  OC: "oc",
  SA: "sam",
};

const EARTH_RADIUS_KM = 6_371;
/** Light in fibre makes 200 km a millisecond; there and back, with cables about 1.4 times as long as the great circle. */
const ROUND_TRIP_MS_PER_KM = (2 * 1.4) / 200;
/** Within one region. */
const ROUND_TRIP_MS_MIN = 2;

/** Guessed round trip between two regions. */
export function regionRoundTripMs(from: Region, to: Region): number {
  return ROUND_TRIP_MS_MIN + Math.round(distanceKm(CENTRES[from], CENTRES[to]) * ROUND_TRIP_MS_PER_KM);
}

/** What `request.cf` says of a place; its coordinates are strings. */
export interface Place {
  readonly latitude?: string | undefined;
  readonly longitude?: string | undefined;
  readonly continent?: string | undefined;
}

/** The region nearest to a place; undefined where nothing is known of the place, as on a developer's machine. */
export function regionNear(place: Place): Region | undefined {
  const latitude = Number.parseFloat(place.latitude ?? "");
  const longitude = Number.parseFloat(place.longitude ?? "");
  if (Number.isNaN(latitude) || Number.isNaN(longitude)) return CONTINENT_REGIONS[place.continent ?? ""];
  const here = { latitude, longitude };
  return REGIONS.reduce((nearest, region) =>
    distanceKm(here, CENTRES[region]) < distanceKm(here, CENTRES[nearest]) ? region : nearest,
  );
}

/** Haversine. */
function distanceKm(a: Coordinates, b: Coordinates): number {
  const radians = Math.PI / 180;
  const sinLatitude = Math.sin(((b.latitude - a.latitude) * radians) / 2);
  const sinLongitude = Math.sin(((b.longitude - a.longitude) * radians) / 2);
  const chord = sinLatitude ** 2 + Math.cos(a.latitude * radians) * Math.cos(b.latitude * radians) * sinLongitude ** 2;
  return 2 * EARTH_RADIUS_KM * Math.asin(Math.min(1, Math.sqrt(chord)));
}
