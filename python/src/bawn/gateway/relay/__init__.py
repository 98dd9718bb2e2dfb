"""The OpenAI surfaces: which upstream answers, and what is changed on the way."""
