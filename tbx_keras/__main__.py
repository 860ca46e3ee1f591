"""`python -m tbx_keras` is `tbx-keras`."""

from tbx_keras.cli import main

if __name__ == "__main__":
    main()
