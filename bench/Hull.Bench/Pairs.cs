namespace Hull.Bench;

/// <summary>Compares programs in pairs: each round runs every one once, in turning order, so that what the machine does besides hits all.</summary>
internal static class Pairs
{
    /// <summary>Runs the rounds and prints the medians and the median of the ratios within rounds, the first program against each other.</summary>
    internal static void Compare(string scenario, string unit, int rounds, IReadOnlyList<string> names, Func<int, double> measure)
    {
        var values = names.Select(_ => new double[rounds]).ToArray();
        for (var index = 0; index < names.Count; index++) measure(index);
        for (var round = 0; round < rounds; round++)
        {
            for (var turn = 0; turn < names.Count; turn++)
            {
                var index = (turn + round) % names.Count;
                values[index][round] = measure(index);
            }
        }

        var text = $"{scenario,-28}";
        for (var index = 0; index < names.Count; index++) text += $"{names[index]} {Median(values[index]):0.00} {unit}  ";
        for (var index = 1; index < names.Count; index++)
        {
            text += $" | {Median([.. values[0].Zip(values[index], (own, other) => own / other)]):0.00} of {names[index]}";
        }

        Console.WriteLine(text);
    }

    private static double Median(double[] values)
    {
        var sorted = values.Order().ToArray();
        var middle = sorted.Length / 2;
        return sorted.Length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
    }
}
