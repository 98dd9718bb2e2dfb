// Continue's autocomplete request, made by the very adapter that its editors use.
//   node fim.mjs ADAPTERS BASE_URL KEY MODEL     prints the completion as it comes
const [adapters, apiBase, apiKey, model] = process.argv.slice(2);
const { OpenAIApi } = await import(`${adapters}/dist/apis/OpenAI.js`);
const api = new OpenAIApi({ provider: "openai", apiBase, apiKey });
const body = { model, prompt: "def add(a, b):\n    return ", suffix: "\n\nprint(add(1, 2))\n", max_tokens: 16, temperature: 0 };
let text = "";
for await (const chunk of api.fimStream(body, AbortSignal.timeout(60_000))) {
  text += chunk.choices[0].delta.content ?? "";
}
console.log(text);
