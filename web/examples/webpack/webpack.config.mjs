// The worker and the engine are found without a rule: webpack 5 copies what new URL(…, import.meta.url) names.
export default { mode: "production", performance: { hints: false } };
