"""From a text to numbers and back: tokenisers, stop words, stems, subwords, the vocabulary, word vectors."""
