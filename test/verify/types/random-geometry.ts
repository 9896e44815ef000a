/** Random geometries of every kind, as SQL. */
import type { Random } from "../random.ts";

export const GEOMETRY_KINDS = [
  "POINT",
  "LINESTRING",
  "POLYGON",
  "MULTIPOINT",
  "MULTILINESTRING",
  "MULTIPOLYGON",
  "GEOMETRYCOLLECTION",
] as const;

export type GeometryKind = (typeof GEOMETRY_KINDS)[number];

/** 0: a plane; 4326: degrees, within which all coordinates stay; 3857: metres. */
export const SRIDS = [0, 4326, 3857] as const;

/** @param nested how deep collections stand in collections: MariaDB takes none */
export function geometryValue(
  random: Random,
  { kind, srid, nested }: { kind: GeometryKind; srid: number; nested: number },
): string {
  return `ST_GeomFromText('${kind}${body(random, kind, nested)}', ${srid})`;
}

function body(random: Random, kind: GeometryKind, depth: number): string {
  switch (kind) {
    case "POINT":
      return `(${point(random)})`;
    case "LINESTRING":
    case "MULTIPOINT":
      return `(${list(random, 2, 6, () => point(random))})`;
    case "POLYGON":
      return `(${ring(random)})`;
    case "MULTILINESTRING":
      return `(${list(random, 1, 3, () => body(random, "LINESTRING", depth))})`;
    case "MULTIPOLYGON":
      return `(${list(random, 1, 3, () => `(${ring(random)})`)})`;
    case "GEOMETRYCOLLECTION": {
      if (random.chance(0.1)) return " EMPTY";
      const kinds = depth > 0 ? GEOMETRY_KINDS : GEOMETRY_KINDS.slice(0, 6);
      return `(${list(random, 1, 3, () => {
        const inner = random.pick(kinds);
        return `${inner}${body(random, inner, depth - 1)}`;
      })})`;
    }
  }
}

function list(random: Random, min: number, max: number, part: () => string): string {
  return Array.from({ length: random.int(min, max) }, part).join(",");
}

function point(random: Random): string {
  return `${coordinate(random)} ${coordinate(random)}`;
}

function coordinate(random: Random): string {
  if (random.chance(0.2)) return random.pick(["0", "-0.0", "90", "-90", "1e-300", "0.1"]);
  return String((random.next() - 0.5) * 180);
}

/** Counter-clockwise around a corner, so that it is a polygon on the globe as well. */
function ring(random: Random): string {
  const [x, y] = [random.int(-80, 70), random.int(-80, 70)];
  const size = random.int(1, 10);
  const corners = [
    [x, y],
    [x + size, y],
    [x + size, y + size],
    [x, y + size],
    [x, y],
  ];
  return `(${corners.map(([a, b]) => `${a} ${b}`).join(",")})`;
}
