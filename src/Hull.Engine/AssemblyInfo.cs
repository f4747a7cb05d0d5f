using System.Runtime.CompilerServices;

[assembly: InternalsVisibleTo("Hull.Engine.Tests")]
