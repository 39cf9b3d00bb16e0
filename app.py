"""Starts Tokenscope: settings → models → page → server. Run `python app.py`."""

import os
import sys

WARM = (
    "sylber-small", "scene-vit", "minilm",
    "text-tokenizers", "bert-wordpiece", "mistral-sentencepiece", "tekken",
)  # fmt: skip


def main() -> None:
    """Serve until interrupted; models are loaded in the background once the server listens."""
    # Gradio and transformers read these when imported: no telemetry, no version check, no look-up of any host
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    # NumPy decides on small arrays: more threads of its own only get in the networks' way
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Threads that wait must not spin: on a busy host they take the very cores that they are waiting for
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from components.settings import Settings, SettingsError

    try:
        settings = Settings.from_env(os.environ)
    except SettingsError as error:
        sys.exit(str(error))
    if settings.hub == "off":
        os.environ["HF_HUB_OFFLINE"] = os.environ["TRANSFORMERS_OFFLINE"] = "1"

    from components.models import ModelStore
    from components.retrieval._encoded import warm
    from demos._server import bind, create, serve

    try:
        listener = bind(settings)
    except SettingsError as error:
        sys.exit(str(error))
    models = ModelStore(settings)
    serve(create(models), listener, settings, ready=lambda: models.warm_up(WARM, then=warm))


if __name__ == "__main__":
    main()
