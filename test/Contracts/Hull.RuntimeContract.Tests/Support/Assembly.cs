using Hull.RuntimeContract.Tests;

[assembly: AssemblyFixture(typeof(SharedResources))]
