"""Properties that hold for every graph and every order of completion, checked on random ones."""
