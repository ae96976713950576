import { defineConfig } from "vite";

export default defineConfig({
  base: "/static/",
  publicDir: false,
  logLevel: "error",
  build: {
    outDir: "../static",
    emptyOutDir: true,
    manifest: true,
    modulePreload: false,
    assetsInlineLimit: 0, // nothing as a data: address
    rollupOptions: { input: "src/main.js" },
  },
  css: {
    preprocessorOptions: {
      // Bootstrap 5 is written for an older Sass.
      scss: { quietDeps: true, silenceDeprecations: ["import", "global-builtin", "color-functions", "if-function"] },
    },
  },
});
