// Pure. The version of this code, for whoever asks a deployment what it runs. A test holds it to package.json's.

export const VERSION = "0.1.0";
