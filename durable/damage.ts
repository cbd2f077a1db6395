// What was read back is not what was written: the platform's disk, or a mistake of this code, has altered it. Nothing that
// depends on it may be served. Platform-free.

export class DamagedStorageError extends Error {
  override readonly name = "DamagedStorageError";
}
