"""From a text to numbers and back: tokenisers, words that are left out, stems, subwords, the vocabulary."""
