"""What runs in the pool."""

from indrik.pools import DirtyApp


class Languages(DirtyApp):
    def init(self):
        # Here, and not at the top: only the workers of the pool need it.
        from py3langid.langid import MODEL_FILE, LanguageIdentifier

        self.model = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)

    def detect(self, text):
        language, probability = self.model.classify(text)
        return {"text": text, "language": language, "probability": round(float(probability), 3)}

    def detect_lines(self, text):
        for line in text.splitlines():
            if line.strip():
                yield self.detect(line)
